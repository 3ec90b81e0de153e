import * as React from 'react';

/** A pick-list whose first entry is its own name: nothing picked. */
export function Pick(props: {
  label: string;
  value: string;
  options: [value: string, label: string][];
  onPick(value: string): void;
}): React.ReactElement {
  const { label, value, options } = props;
  return (
    <select
      className={value ? 'mn-select mn-picked' : 'mn-select'}
      aria-label={label}
      value={value}
      onChange={event => props.onPick(event.target.value)}
    >
      <option value="">{label}</option>
      {options.map(([key, name]) => (
        <option key={key} value={key}>
          {name}
        </option>
      ))}
    </select>
  );
}
