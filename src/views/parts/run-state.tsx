import * as React from 'react';

import type { Run, RunState } from '../../data/types';
import type { IText } from '../../text';
import { useHost } from '../host';

const SHAPES: Record<RunState, React.ReactElement> = {
  queued: <path d="M8 4.5V8l2.4 1.6" />,
  running: <path className="mn-spin" d="M8 2.2A5.8 5.8 0 0 1 13.8 8" />,
  finished: <path d="m5.2 8.2 2 2 3.8-4.2" />,
  stopped: <path d="M6 6h4v4H6z" />,
  failed: <path d="m5.9 5.9 4.2 4.2m0-4.2-4.2 4.2" />,
  crashed: <path d="M8 4.6v4.2m0 2.1v.3" />
};

/** Whether a run still has something to come. */
export function isLive(run: Run): boolean {
  return run.state === 'queued' || run.state === 'running';
}

/** What a run's state looks like; the word stands beside it or is its label. */
export function StateIcon({ state }: { state: RunState }): React.ReactElement {
  const { t } = useHost();
  return (
    <svg
      className={`mn-state mn-state-${state}`}
      viewBox="0 0 16 16"
      width="16"
      height="16"
      role="img"
      aria-label={t(`ui.state.${state}`)}
    >
      <circle className="mn-state-ring" cx="8" cy="8" r="5.8" />
      {SHAPES[state]}
    </svg>
  );
}

/** What a kind of run is called. */
export function useKindName(): (kind: string) => string {
  const { t } = useHost();
  return kind => (t.has(`ui.kind.${kind}`) ? t(`ui.kind.${kind}`) : kind);
}

/** Where a run that isn't this machine's was seen: W&B, or the source of the model that it came with. */
export function cameFrom(run: Run, t: IText): string {
  return run.origin === 'wandb'
    ? t('ui.run.from_wandb')
    : t('ui.run.from_source', { source: run.origin });
}

/** The value of the metric that decides. */
export function primary(run: Run): number | null {
  return run.primary_metric ? (run.metrics[run.primary_metric] ?? null) : null;
}
