import * as React from 'react';

/** A reference that leads to its own page, where the host has room for one. */
export function Jump(props: {
  id: string;
  to?: (id: string) => void;
}): React.ReactElement {
  const { id, to } = props;
  return to ? (
    <button className="mn-link mn-mono" onClick={() => to(id)}>
      {id}
    </button>
  ) : (
    <code>{id}</code>
  );
}
