// Generated from modelnook.domain: change the dataclasses, not this file. (Written by hand in the generator's form
// until the generator stands.)

export type Risk = {
  code: string;
  message: string;
};

export type LicenceKind =
  'permissive' | 'copyleft' | 'noncommercial' | 'other' | 'unknown';

export type ModelInfo = {
  ref: string;
  id: string;
  source: string;
  revision: string | null;
  name: string;
  task: string | null;
  license: string | null;
  license_kind: LicenceKind;
  language: string[];
  parameters: number | null;
  bytes: number | null;
  formats: string[];
  architecture: string | null;
  downloads: number | null;
  likes: number | null;
  base_model: string | null;
  memory_run: number | null;
  memory_lora: number | null;
  memory_full: number | null;
  memory_free: number | null;
  risks: Risk[];
  summary: string;
  updated: string | null;
  metrics: Record<string, number | null>;
  labels: string[];
  tags: string[];
  layers: string | null;
  path: string | null;
  gated: boolean;
  run: string | null;
};

export type SearchResult = {
  items: ModelInfo[];
  query?: string;
  notes: string[];
  total: number;
};

export type RunState =
  'queued' | 'running' | 'finished' | 'stopped' | 'failed' | 'crashed';

export type ErrorInfo = {
  code: string;
  message: string;
  hint: string;
};

export type Progress = {
  phase: string;
  step: number;
  total: number | null;
  epoch: number | null;
  epochs: number | null;
  rows_per_s: number | null;
  eta_s: number | null;
  loss: number | null;
};

export type RunData = {
  name: string;
  fingerprint: string;
  rows: number;
  columns: Record<string, string> | string[];
};

export type WandbLink = {
  url: string | null;
  path: string | null;
  synced: boolean;
};

export type Figures = {
  bytes: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  rows_per_s: number | null;
  peak_memory_bytes: number | null;
  metrics: Record<string, number | null>;
  intervals: Record<string, [number | null, number | null]>;
};

export type Report = {
  before: Figures;
  after: Figures;
  data: unknown;
};

export type Run = {
  id: string;
  name: string;
  kind: string;
  state: RunState;
  model: string | null;
  base: string | null;
  task: string | null;
  method: string | null;
  data: RunData | null;
  params: Record<string, unknown>;
  metrics: Record<string, number | null>;
  intervals: Record<string, [number | null, number | null]>;
  baselines: Record<string, Record<string, number | null>>;
  primary_metric: string | null;
  progress: Progress | null;
  created: string | null;
  started: string | null;
  ended: string | null;
  device: string | null;
  host: string | null;
  wandb: WandbLink | null;
  notebook: string | null;
  pid: number | null;
  warnings: string[];
  error: ErrorInfo | null;
  report: Report | null;
  origin: string;
  resumable: boolean;
};

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
};

export type Log = {
  text: string;
  offset: number;
  end: boolean;
};

export type Comparison = {
  columns: string[];
  rows: unknown[][];
  front?: string[];
  primary_metric?: string;
};

export type SourceInfo = {
  name: string;
  kind: string;
  url: string | null;
  state: string;
  refreshed: string | null;
};

export type Changes = {
  cursor: number;
  changes: { topic: string; id: string }[];
};
