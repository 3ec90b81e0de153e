import * as React from 'react';

import type { Measures } from '../../data/parts';
import type { IText } from '../../text';
import { bytes, compact, figure, ms } from '../format';
import { useHost } from '../host';

/** Headings of what every smaller model is measured by, beside its quality. */
export function MeasureHeads(): React.ReactElement {
  const { t } = useHost();
  return (
    <>
      <th scope="col">{t('ui.report.bytes')}</th>
      <th scope="col">{t('ui.report.p50_ms')}</th>
      <th scope="col">{t('ui.report.rows_per_s')}</th>
    </>
  );
}

/** The cells below them; where a narrow table stacks them, each says its own heading. */
export function MeasureCells({ of }: { of: Measures }): React.ReactElement {
  const { t } = useHost();
  return (
    <>
      <td className="mn-num" data-name={t('ui.report.bytes')}>
        {bytes(of.bytes, t)}
      </td>
      <td className="mn-num" data-name={t('ui.report.p50_ms')}>
        {ms(of.p50_ms, t)}
      </td>
      <td className="mn-num" data-name={t('ui.report.rows_per_s')}>
        {compact(of.rows_per_s)}
      </td>
    </>
  );
}

/** What a narrow table has no columns for, in a row of its own below: with `device` also where it was measured. */
export function MeasureMore(props: {
  of: Measures;
  columns: number;
  device: boolean;
}): React.ReactElement | null {
  const { t } = useHost();
  const { of, columns, device } = props;
  const told = [
    known(of.p95_ms) && `${t('ui.report.p95_ms')} ${ms(of.p95_ms, t)}`,
    known(of.load_s) &&
      `${t('ui.report.load_s')} ${ms(1000 * Number(of.load_s), t)}`,
    known(of.peak_memory_bytes) &&
      `${t('ui.report.peak_memory_bytes')} ${bytes(of.peak_memory_bytes, t)}`,
    device && `${t('ui.run.device')} ${of.device ?? 'cpu'}`
  ].filter(Boolean);
  return told.length ? (
    <tr className="mn-more">
      <td colSpan={columns}>
        {told.map((one, i) => (
          <React.Fragment key={String(one)}>
            {i > 0 && ' · '}
            <span className="mn-unbroken">{one}</span>
          </React.Fragment>
        ))}
      </td>
    </tr>
  ) : null;
}

function known(value: number | null | undefined): boolean {
  return value !== null && value !== undefined;
}

/** Whether anything was measured elsewhere than on a CPU: then each says where it was. */
export function offCpu(sides: (Measures | undefined)[]): boolean {
  return sides.some(side => (side?.device ?? 'cpu') !== 'cpu');
}

/** The 95% interval of a metric, below it; `to` stands between its ends where those have signs. */
export function Between(props: {
  of: [number | null, number | null] | undefined;
  show?(value: number, t: IText): string;
  to?: string;
}): React.ReactElement | null {
  const { t } = useHost();
  const { of, show = figure, to = '–' } = props;
  const [low, high] = of ?? [null, null];
  return low === null || high === null ? null : (
    <div className="mn-small" title={t('ui.run.interval')}>
      {`${show(low, t)}${to}${show(high, t)}`}
    </div>
  );
}
