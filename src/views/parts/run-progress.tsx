import * as React from 'react';

import type { Standing } from '../../data/parts';
import type { Run } from '../../data/types';
import type { IText } from '../../text';
import { bytes, count, duration } from '../format';
import { useHost } from '../host';

const OF_BYTES = ['downloading', 'uploading'];

/** How far a live run is, in a bar and in words. */
export function RunProgress({ run }: { run: Run }): React.ReactElement | null {
  const { t } = useHost();
  const { progress } = run;
  if (run.state === 'queued') {
    return <p className="mn-small">{queued(progress, t)}</p>;
  }
  if (run.state !== 'running') {
    return null;
  }
  const phaseKey = `ui.phase.${progress?.phase ?? 'starting'}`;
  const phase = t.has(phaseKey) ? t(phaseKey) : (progress?.phase ?? '');
  const total = progress?.total;
  const amount = OF_BYTES.includes(progress?.phase ?? '') ? bytes : count;
  const share = total ? Math.min(1, (progress?.step ?? 0) / total) : undefined;
  return (
    <div className="mn-progress" data-testid="mn-progress">
      <div
        className={share === undefined ? 'mn-bar mn-bar-unknown' : 'mn-bar'}
        role="progressbar"
        aria-label={phase}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={
          share === undefined ? undefined : Math.round(100 * share)
        }
      >
        <span
          className="mn-bar-fill"
          style={share === undefined ? {} : { width: `${100 * share}%` }}
        />
      </div>
      <p className="mn-progress-line">
        <span>{phase}</span>
        {total ? (
          <span className="mn-num">
            {amount(progress?.step ?? 0, t)} / {amount(total, t)}
          </span>
        ) : null}
        {progress?.eta_s !== null && progress?.eta_s !== undefined && (
          <span className="mn-num mn-eta">
            {t('ui.run.left', { time: duration(progress.eta_s, t) })}
          </span>
        )}
      </p>
    </div>
  );
}

/** What a queued run waits for, in a sentence. */
function queued(progress: Standing | null, t: IText): string {
  if (progress?.phase !== 'waiting') {
    return t('ui.phase.starting');
  }
  const { behind } = progress;
  if (!behind) {
    return t('ui.run.queued');
  }
  const run = behind.name ? `${behind.name} (${behind.id})` : behind.id;
  return t('ui.run.queued_behind', { run });
}
