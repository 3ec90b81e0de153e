import * as React from 'react';

import type { IDataProvider } from '../data/provider';
import type { IText } from '../text';
import type { IHostActions } from '../tokens';

/** Where a view stands. */
export type Place = 'panel' | 'cell';

/** What every view is given by its host. */
export interface IHost {
  provider: IDataProvider;
  t: IText;
  place: Place;
  actions: IHostActions;

  /** Whether nobody can see it now, so that nothing is asked or watched for it. */
  idle?: boolean;

  /** Show another view beside this one, where the host has room for it. */
  open?(view: 'model-card' | 'run', id: string): void;
}

export interface IViewProps {
  /** What the view shows: `{run: ID}`, `{ref: REF}`, `{refs: […]}`, … */
  params: Record<string, unknown>;
}

export const HostContext = React.createContext<IHost | null>(null);

/** The host of the view that asks. */
export function useHost(): IHost {
  const host = React.useContext(HostContext);
  if (!host) {
    throw new Error('A view needs a HostContext around it.');
  }
  return host;
}
