import * as React from 'react';

import type { Figures } from '../../data/parts';
import { bytes, compact, ms } from '../format';
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

/** The cells below them. */
export function MeasureCells({
  of
}: {
  of: Pick<Figures, 'bytes' | 'p50_ms' | 'rows_per_s'>;
}): React.ReactElement {
  const { t } = useHost();
  return (
    <>
      <td className="mn-num">{bytes(of.bytes, t)}</td>
      <td className="mn-num">{ms(of.p50_ms, t)}</td>
      <td className="mn-num">{compact(of.rows_per_s)}</td>
    </>
  );
}
