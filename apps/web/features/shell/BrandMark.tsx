/** A gate in a wall: the sally port. */
export function BrandMark() {
  return (
    <svg viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.8" aria-hidden="true">
      <path d="M2 18V5h3v2h3V5h4v2h3V5h3v13" />
      <path d="M7 18v-4.5a3 3 0 0 1 6 0V18" />
    </svg>
  );
}
