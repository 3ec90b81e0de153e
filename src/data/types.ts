// Made by tools/typescript.py from modelnook.domain: change the dataclasses, not this file.

import type {
  Environment,
  LicenceKind,
  Report,
  RunData,
  RunPlan,
  Standing,
  WandbLink
} from './parts';

export type RunState =
  'queued' | 'running' | 'finished' | 'stopped' | 'failed' | 'crashed';

export type Table = {
  columns: string[];
  rows: unknown[][];
};

export type Risk = {
  code: string;
  message: string;
};

export type Terms = {
  kind: string;
  name: string;
  commercial: string;
  share_alike: string;
  condition: string;
  must: string;
  forbidden: string;
  clause: string;
  note: string;
};

export type ModelInfo = {
  ref: string;
  id: string;
  source: string;
  revision: string | null;
  name: string;
  task: string | null;
  license: string | null;
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
  relation: string | null;
  bases: string[];
  variants: string[];
  also: string[];
  digest: string | null;
  dtypes: Record<string, number>;
  terms: Terms | null;
  disk_free: number | null;
  page: string | null;
  unfit: string[];
  license_kind: LicenceKind;
};

export type SearchResult = {
  items: ModelInfo[];
  query: string;
  notes: string[];
  total: number;
  hint: string;
  more: boolean;
  silent: Record<string, string>;
};

export type ErrorInfo = {
  code: string;
  message: string;
  hint: string;
  kind: string;
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
  plan: RunPlan | null;
  metrics: Record<string, number | null>;
  intervals: Record<string, [number | null, number | null]>;
  baselines: Record<string, Record<string, number | null>>;
  primary_metric: string | null;
  progress: Standing | null;
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
  stopping: boolean;
  identity: string | null;
  group: string | null;
  epoch: number;
  version: string;
  sources: Record<string, unknown>[];
  environment: Environment | null;
};

export type Comparison = Table & {
  front: string[];
  primary_metric: string;
  data: Record<string, unknown>;
  run: string | null;
  note: string;
  warnings: string[];
};
