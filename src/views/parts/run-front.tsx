import * as React from 'react';

import type { Report } from '../../data/parts';
import type { IText } from '../../text';
import { bytes, figure, ms } from '../format';
import { useHost } from '../host';
import { Section } from './notice';
import type { IMark } from './scatter';
import { Scatter } from './scatter';
import { called, lower, said, varied } from './trials';

/** What tuning for several objectives found: every trial as a dot, and the table of those that no other beats. */
export function RunFront(props: { report: Report }): React.ReactElement | null {
  const { t } = useHost();
  const { objectives = [], front = [], trials = [] } = props.report;
  if (objectives.length < 2 || front.length === 0) {
    return null;
  }
  const [quality, second] = objectives;
  const best = new Set(front.map(one => one.number));
  const size = objectives.indexOf('size');
  const marks: IMark[] = trials
    .filter(trial => trial.state === 'finished')
    .map(({ number, values = [] }) => ({
      name: called(number, t),
      x: second === 'size' ? values[1] / 1e6 : values[1],
      y: values[0],
      bytes: size > 0 ? values[size] : null,
      front: best.has(number)
    }));
  const across = {
    label: axis(second, t),
    said: (mark: IMark) =>
      `${mark.name}: ${quality} ${figure(mark.y, t)}, ${axis(second, t)} ${figure(mark.x, t)}`
  };
  const knobs = varied(front);
  const sign = lower(quality) ? 1 : -1;
  const rows = [...front].sort((a, b) => sign * (a.values[0] - b.values[0]));
  const ended = front.some(one => one.model);
  return (
    <Section title={t('ui.tune.front')}>
      {marks.length > 1 && (
        <Scatter
          marks={marks}
          quality={quality}
          across={second === 'latency' && size > 0 ? undefined : across}
        />
      )}
      <p className="mn-small">
        {t(lower(quality) ? 'ui.tune.legend_lower' : 'ui.tune.legend')}
      </p>
      <div className="mn-scroll" tabIndex={0}>
        <table className="mn-table" data-testid="mn-front">
          <thead>
            <tr>
              <th scope="col">{t('ui.tune.trial')}</th>
              {objectives.map(name => (
                <th key={name} scope="col">
                  {heading(name, t)}
                </th>
              ))}
              {ended && <th scope="col">{t('ui.tune.holdout')}</th>}
              {knobs.map(knob => (
                <th key={knob} scope="col">
                  {knob}
                </th>
              ))}
              {ended && <th scope="col">{t('ui.tune.model')}</th>}
            </tr>
          </thead>
          <tbody>
            {rows.map(one => (
              <tr key={one.number}>
                <th scope="row">{called(one.number, t)}</th>
                {objectives.map((name, i) => (
                  <td key={name} className="mn-num">
                    {shown(name, one.values[i], t)}
                  </td>
                ))}
                {ended && (
                  <td className="mn-num">
                    {figure(one.holdout ?? null, t)}
                    {between(one.interval, t)}
                  </td>
                )}
                {knobs.map(knob => (
                  <td key={knob} className="mn-num">
                    {said(one.knobs[knob])}
                  </td>
                ))}
                {ended && <td>{one.model}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

function heading(objective: string, t: IText): string {
  const key = `ui.tune.objective_${objective}`;
  return t.has(key) ? t(key) : objective;
}

function axis(objective: string, t: IText): string {
  const key = `ui.tune.axis_${objective}`;
  return t.has(key) ? t(key) : objective;
}

function shown(objective: string, value: number, t: IText): string {
  return objective === 'size'
    ? bytes(value, t)
    : objective === 'latency'
      ? ms(value, t)
      : figure(value, t);
}

function between(
  interval: [number | null, number | null] | null | undefined,
  t: IText
): string {
  return interval && interval[0] !== null && interval[1] !== null
    ? ` (${figure(interval[0], t)}–${figure(interval[1], t)})`
    : '';
}
