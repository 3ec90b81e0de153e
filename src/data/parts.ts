// What stands in fields that are a dict in modelnook.domain; src/data/types.ts is made from the rest.

import type { Progress } from './types';

export type LicenceKind =
  'permissive' | 'copyleft' | 'noncommercial' | 'other' | 'unknown' | 'own';

export type RunData = {
  name: string;
  fingerprint: string;
  rows: number;
  columns: Record<string, string> | string[];
};

/** What a training was said to take before its first step. */
export type RunPlan = {
  method: string;
  reason: string;
  rows: number;
  held_out: number;
  batch_size: number;
  tokens_lost: number;
  memory: number;
  memory_free: number | null;

  /** From and to. */
  seconds: [number, number] | null;
  disk: number;
  disk_free: number | null;
};

/** Where a live run stands; of one that waits for a device also which run has it. */
export type Standing = Progress & { behind?: { id: string; name: string } };

export type Environment = {
  python?: string;
  system?: string;
  hardware?: string;
  packages?: Record<string, string>;
};

export type WandbLink = {
  mode?: 'online' | 'offline';
  project?: string;
  url: string | null;
  path: string | null;
  synced: boolean;
};

/** What every smaller model is measured by, beside its quality. */
export type Measures = {
  bytes: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  rows_per_s: number | null;
  peak_memory_bytes?: number | null;

  /** Seconds from the folder to a model that answers. */
  load_s?: number | null;

  /** Where it was measured; a CPU where nothing is said. */
  device?: string;
};

export type Figures = Measures & {
  metrics: Record<string, number | null>;
  intervals: Record<string, [number | null, number | null]>;
};

/** One attempt of a run that makes a model smaller. */
export type Candidate = {
  backend: string;
  scheme: string;
  options: Record<string, unknown>;
  value: number | null;

  /** How much worse than the original, as a fraction. */
  drop: number | null;

  /** Between what and what the drop is, with 95% certainty. */
  interval?: [number | null, number | null];
  accepted: boolean;
} & Measures;

export type Trial = {
  number: number | 'default';
  state: 'finished' | 'pruned' | 'failed';
  value: number | null;

  /** One an objective, in the report's order. */
  values?: number[];
  seconds: number;
  knobs: Record<string, string | number | null>;
  error?: string;
};

/** A trial that no other beats in all objectives. */
export type OfFront = {
  number: number | 'default';
  values: number[];
  knobs: Record<string, string | number | null>;

  /** The first objective on rows that no trial saw, once the run has ended, and the model that it is. */
  holdout?: number | null;
  interval?: [number | null, number | null] | null;
  model?: string;
};

export type Gain = {
  points: number;
  interval: [number, number];
  gained: boolean;
  rows: number;
  default: number;
  best: number;
};

/** One step of a chain that makes a model smaller; `backend` is the one that a quantizing step chose. */
export type Step = {
  step: string;
  before: Figures;
  after: Figures;
  backend?: string;
};

/** What a kind of run tells beside its metrics: quantizing has before and after, tuning trials, others tables. */
export type Report = {
  before?: Figures;
  after?: Figures;
  data?: unknown;
  trials?: Trial[];
  gain?: Gain;
  objectives?: string[];
  front?: OfFront[];
  importances?: Record<string, number>;

  /** What a run that makes a model smaller tried, and which of it was taken. */
  attempts?: Candidate[];
  metric?: string;
  backend?: string;
  scheme?: string;
  options?: Record<string, unknown>;

  /** Of a chain: each step with the figures before and after it. */
  steps?: Step[];

  /** Of an export: the share of rows with the same answer, and how far a number was off at most; null of texts. */
  equal?: number;
  max_difference?: number | null;
  tolerance?: number;
  rows?: number;
  format?: string;
  bytes?: number;
  path?: string;
};
