import * as React from 'react';

import type { Run } from '../../data/types';
import { figure } from '../format';
import { useHost } from '../host';
import { lower } from './trials';

/** The methods that a baseline can be kept by, and the tasks that have them; README's table of methods says the same. */
const KEPT: Record<string, string[]> = {
  tfidf: [
    'multi-label-classification',
    'text-classification',
    'text-regression'
  ],
  trees: ['table']
};

/** What makes a baseline the model, on the rows of a training run; null where nothing does. */
export function keeping(run: Run, baseline: string): string | null {
  const own = run.kind === 'finetune' && run.origin === 'local';
  return own && KEPT[baseline]?.includes(run.task ?? '')
    ? `%model runs rerun ${run.id} --method ${baseline} --name ${run.name}-${baseline}`
    : null;
}

/** The best baseline that the run's model doesn't beat in its primary metric, and what that reached. */
export function unbeaten(run: Run): [string, number] | null {
  const name = run.primary_metric ?? '';
  const value = run.metrics[name];
  if (value === null || value === undefined) {
    return null;
  }
  const sign = lower(name) ? -1 : 1;
  const best = Object.entries(run.baselines)
    .flatMap(([base, metrics]): [string, number][] => {
      const reached = metrics[name];
      return reached === null || reached === undefined ? [] : [[base, reached]];
    })
    .sort((a, b) => sign * (b[1] - a[1]))[0];
  return best && sign * best[1] >= sign * value ? best : null;
}

/** Each metric with its 95% interval, beside what simple means reach. */
export function RunMetrics({ run }: { run: Run }): React.ReactElement {
  const { t } = useHost();
  const ahead = unbeaten(run);
  // A tie is no reason to give up what reads texts that the baseline has never seen the words of.
  const tie = ahead?.[1] === run.metrics[run.primary_metric ?? ''];
  const keep = ahead && !tie && keeping(run, ahead[0]);
  const [least, most] = run.intervals[run.primary_metric ?? ''] ?? [null, null];
  const near =
    ahead !== null &&
    least !== null &&
    most !== null &&
    least <= ahead[1] &&
    ahead[1] <= most;
  const named = (base: string) =>
    t.has(`ui.baseline.${base}`) ? t(`ui.baseline.${base}`) : base;
  const names = Object.keys(run.metrics).sort(
    (a, b) =>
      Number(b === run.primary_metric) - Number(a === run.primary_metric)
  );
  return (
    <ul className="mn-metrics" data-testid="mn-metrics">
      {names.map(name => {
        const value = run.metrics[name];
        const [low, high] = run.intervals[name] ?? [null, null];
        const bases = Object.entries(run.baselines).flatMap(
          ([base, metrics]): [string, number][] => {
            const reached = metrics[name];
            return reached === null || reached === undefined
              ? []
              : [[base, reached]];
          }
        );
        return (
          <li
            key={name}
            className={
              name === run.primary_metric
                ? 'mn-metric mn-metric-primary'
                : 'mn-metric'
            }
          >
            <span className="mn-metric-name">{name}</span>
            <span className="mn-num mn-metric-value">{figure(value, t)}</span>
            {low !== null && high !== null && (
              <span
                className="mn-num mn-metric-interval"
                title={t('ui.run.interval')}
              >
                {figure(low, t)}–{figure(high, t)}
              </span>
            )}
            {!lower(name) && (
              <Track value={value} low={low} high={high} bases={bases} />
            )}
            {bases.length > 0 && (
              <span className="mn-metric-bases">
                {bases.map(([base, reached]) => (
                  <span key={base}>
                    {named(base)}{' '}
                    <span className="mn-num">{figure(reached, t)}</span>
                  </span>
                ))}
              </span>
            )}
          </li>
        );
      })}
      {ahead && (
        <li className="mn-metric-note">
          {t('ui.run.unbeaten', {
            baseline: named(ahead[0]),
            value: figure(ahead[1], t)
          })}
        </li>
      )}
      {keep && (
        <li className="mn-metric-note">
          {t(near ? 'ui.run.keep_near' : 'ui.run.keep')} <code>{keep}</code>
        </li>
      )}
    </ul>
  );
}

/** Where a share stands between 0 and 1; nothing for a metric that isn't one. */
function Track(props: {
  value: number | null;
  low: number | null;
  high: number | null;
  bases: [string, number][];
}): React.ReactElement | null {
  const { value, low, high, bases } = props;
  const all = [value, low, high, ...bases.map(([, reached]) => reached)];
  if (value === null || all.some(one => one !== null && (one < 0 || one > 1))) {
    return null;
  }
  const at = (share: number) => `${100 * share}%`;
  return (
    <span className="mn-track" aria-hidden="true">
      {bases.map(([base, reached]) => (
        <span
          key={base}
          className="mn-track-base"
          style={{ left: at(reached) }}
        />
      ))}
      {low !== null && high !== null && (
        <span
          className="mn-track-interval"
          style={{ left: at(low), width: at(high - low) }}
        />
      )}
      <span className="mn-track-value" style={{ left: at(value) }} />
    </span>
  );
}
