import * as React from 'react';

/** The way back from a page to its list; takes the focus, so that the keyboard goes on from here. */
export function Back(props: {
  label: string;
  onBack(): void;
}): React.ReactElement {
  const button = React.useRef<HTMLButtonElement>(null);
  React.useEffect(() => button.current?.focus({ preventScroll: true }), []);
  return (
    <button
      ref={button}
      className="mn-back"
      onClick={props.onBack}
      data-testid="mn-back"
    >
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path
          d="M10 3 5 8l5 5"
          fill="none"
          stroke="currentColor"
          strokeWidth="1.6"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      {props.label}
    </button>
  );
}
