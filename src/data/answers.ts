// Answers of the RPC functions and of the server's feed that are no value of modelnook.domain.

import type { Comparison, Run, Table } from './types';

export type RunList = {
  items: Run[];
  cursor: number;
};

export type Series = {
  step: number[];
  time: (number | null)[];
  value: (number | null)[];
};

export type History = {
  series: Record<string, Series>;
  total: number;

  /** Why there are no curves, of a run that is elsewhere. */
  note?: string;
};

export type Log = {
  text: string;
  offset: number;
  end: boolean;
};

/** A comparison, or what was measured before of the same models. */
export type SideBySide = Table & Partial<Comparison>;

export type SourceInfo = {
  name: string;
  kind: string;
  url: string | null;
  state: string;
  refreshed: string | null;
};

/** Of all that match in the local index: by facet (`task`, `license`, `source` …) and value, how many. */
export type Facets = Record<string, Record<string, number>>;

export type Changes = {
  cursor: number;
  changes: { topic: string; id: string }[];
};
