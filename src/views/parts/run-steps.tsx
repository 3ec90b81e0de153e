import * as React from 'react';

import type { Figures, Report, Step } from '../../data/parts';
import { figure } from '../format';
import { useHost } from '../host';
import {
  Between,
  MeasureCells,
  MeasureHeads,
  MeasureMore,
  offCpu
} from './measures';

const COLUMNS = 5;

/** A chain of ways to make a model smaller: the first model, and what each step left of it. */
export function RunSteps({
  report
}: {
  report: Report;
}): React.ReactElement | null {
  const { t } = useHost();
  const steps = report.steps ?? [];
  const quality = report.metric ?? '';
  // Of one that goes on or was refused, also one step alone.
  if (steps.length < (report.after ? 2 : 1)) {
    return null;
  }
  const sides: [string, Figures][] = [
    [t('ui.report.original'), steps[0].before],
    ...steps.map((step): [string, Figures] => [called(step), step.after])
  ];
  const elsewhere = offCpu(sides.map(([, side]) => side));
  return (
    <div className="mn-scroll mn-unstacked" tabIndex={0}>
      <table className="mn-table mn-stack" data-testid="mn-steps">
        <thead>
          <tr>
            <th scope="col">{t('ui.report.step')}</th>
            <th scope="col">{quality}</th>
            <MeasureHeads />
          </tr>
        </thead>
        <tbody>
          {sides.map(([name, side], at) => (
            <React.Fragment key={at}>
              <tr>
                <th scope="row">{name}</th>
                <td className="mn-num" data-name={quality}>
                  {figure(side.metrics?.[quality] ?? null, t)}
                  <Between of={side.intervals?.[quality]} />
                </td>
                <MeasureCells of={side} />
              </tr>
              <MeasureMore of={side} columns={COLUMNS} device={elsewhere} />
            </React.Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A step in words, with the backend that it chose. */
function called({ step, backend }: Step): string {
  return backend && !step.includes(':') ? `${step} (${backend})` : step;
}
