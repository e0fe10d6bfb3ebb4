'use client';
import { useWindow, WINDOWS } from '#lib/urlState.ts';
import { Select } from '#ui/Field.tsx';

/** Chooses the page's window of time; it is kept in the address. */
export function WindowPicker() {
  const [window, setWindow] = useWindow();
  const choices: readonly string[] = WINDOWS;
  const options = choices.includes(window) ? choices : [window, ...choices];
  return <Select label="Window" value={window} onChange={setWindow} options={options.map((value) => ({ value, name: `last ${value}` }))} />;
}
