import type { Metadata } from 'next';
import { WizardPage } from '#features/policies/WizardPage.tsx';

export const metadata: Metadata = { title: 'New policy' };

export default function Page() {
  return <WizardPage />;
}
