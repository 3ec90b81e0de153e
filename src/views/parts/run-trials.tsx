import * as React from 'react';

import type { Gain, Trial } from '../../data/parts';
import type { Run } from '../../data/types';
import { count, duration, figure } from '../format';
import { useHost } from '../host';
import { Section } from './notice';
import { RunFront } from './run-front';
import { called, lower, said, varied } from './trials';

const BRIEF = 6;

/** A tuning run's answer, its trials with the best on top, and how much each knob mattered. */
export function RunTrials(props: {
  run: Run;
  brief: boolean;
}): React.ReactElement {
  const { t } = useHost();
  const { run, brief } = props;
  const { trials = [], gain, importances = {} } = run.report ?? {};
  const name = run.primary_metric ?? '';
  const sorted = ranked(trials, lower(name) ? 1 : -1);
  const knobs = varied(trials);
  const mattered = Object.entries(importances).sort((a, b) => b[1] - a[1]);
  return (
    <>
      {gain && <GainLine gain={gain} metric={name} />}
      {run.report && <RunFront report={run.report} />}
      {mattered.length > 0 && (
        <Section title={t('ui.tune.importances')}>
          <table className="mn-table mn-shares" data-testid="mn-importances">
            <thead>
              <tr>
                <th scope="col">{t('ui.tune.knob')}</th>
                <th scope="col" colSpan={2}>
                  {t('ui.tune.share')}
                </th>
              </tr>
            </thead>
            <tbody>
              {mattered.map(([knob, share]) => (
                <tr key={knob}>
                  <th scope="row">{knob}</th>
                  <td>
                    <meter min={0} max={1} value={share} aria-label={knob} />
                  </td>
                  <td className="mn-num">{Math.round(100 * share)}%</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Section>
      )}
      <Section title={t('ui.tune.trials', { n: trials.length })}>
        <div className="mn-scroll" tabIndex={0}>
          <table className="mn-table" data-testid="mn-trials">
            <thead>
              <tr>
                <th scope="col">{t('ui.tune.trial')}</th>
                <th scope="col">{name}</th>
                <th scope="col">{t('ui.table.time')}</th>
                {knobs.map(knob => (
                  <th key={knob} scope="col">
                    {knob}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {(brief ? sorted.slice(0, BRIEF) : sorted).map(trial => (
                <tr key={trial.number} title={trial.error}>
                  <th scope="row">{called(trial.number, t)}</th>
                  <td className="mn-num">
                    {trial.state === 'finished'
                      ? figure(trial.value, t)
                      : t(`ui.tune.${trial.state}`)}
                  </td>
                  <td className="mn-num">{duration(trial.seconds, t)}</td>
                  {knobs.map(knob => (
                    <td key={knob} className="mn-num">
                      {said(trial.knobs?.[knob])}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Section>
    </>
  );
}

function GainLine(props: { gain: Gain; metric: string }): React.ReactElement {
  const { t } = useHost();
  const { gain, metric } = props;
  const points = (value: number) =>
    `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(1)}`;
  return (
    <p
      className={
        gain.gained ? 'mn-notice mn-notice-good' : 'mn-notice mn-notice-note'
      }
      data-testid="mn-gain"
    >
      {t(gain.gained ? 'ui.tune.gained' : 'ui.tune.nothing', {
        points: points(gain.points),
        metric,
        before: figure(gain.default, t),
        after: figure(gain.best, t),
        low: points(gain.interval[0]),
        high: points(gain.interval[1]),
        rows: count(gain.rows, t)
      })}
    </p>
  );
}

function ranked(trials: Trial[], sign: number): Trial[] {
  const last = (trial: Trial) => Number(trial.state !== 'finished');
  return [...trials].sort(
    (a, b) => last(a) - last(b) || sign * ((a.value ?? 0) - (b.value ?? 0))
  );
}
