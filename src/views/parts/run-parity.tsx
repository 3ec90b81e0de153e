import * as React from 'react';

import type { Report } from '../../data/parts';
import { bytes, count, figure, plain } from '../format';
import { useHost } from '../host';
import { Facts } from './notice';

/** How an export answers beside the model that it was made from. */
export function RunParity({ report }: { report: Report }): React.ReactElement {
  const { t } = useHost();
  const { equal, max_difference: difference, tolerance } = report;
  const off =
    difference !== null &&
    difference !== undefined &&
    t('ui.parity.of', {
      value: figure(difference, t),
      tolerance: plain(tolerance, t)
    });
  return (
    <div data-testid="mn-parity">
      <Facts
        rows={[
          [t('ui.parity.equal'), `${(100 * (equal ?? 0)).toFixed(1)}%`],
          [t('ui.parity.difference'), off],
          [t('ui.run.rows'), count(report.rows, t)],
          [t('ui.parity.format'), report.format],
          [t('ui.report.bytes'), bytes(report.bytes, t)],
          [t('ui.parity.path'), report.path]
        ]}
      />
    </div>
  );
}
