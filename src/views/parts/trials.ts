import type { Trial } from '../../data/parts';
import type { IText } from '../../text';

const LESS = /^(loss|perplexity|wer|cer|mse|rmse|mae)$/;
const UNBOUNDED = /^(perplexity|mse|rmse|mae)$/;

/** Whether less of a metric is better. */
export function lower(metric: string): boolean {
  return LESS.test(metric);
}

/** Whether a metric has no scale of its own: it falls by a share of what it was. */
export function unbounded(metric: string): boolean {
  return UNBOUNDED.test(metric);
}

/** A trial's name. */
export function called(number: number | 'default', t: IText): string {
  return number === 'default' ? t('ui.tune.default') : `#${number}`;
}

/** The knobs that aren't the same in all trials. */
export function varied(trials: Pick<Trial, 'knobs'>[]): string[] {
  const values = new Map<string, Set<unknown>>();
  trials.forEach(trial =>
    Object.entries(trial.knobs ?? {}).forEach(([knob, value]) =>
      values.set(knob, (values.get(knob) ?? new Set()).add(value))
    )
  );
  return [...values].flatMap(([knob, seen]) => (seen.size > 1 ? [knob] : []));
}

/** A knob's value. */
export function said(value: string | number | null | undefined): string {
  return typeof value === 'number'
    ? String(Number(value.toPrecision(3)))
    : (value ?? '');
}
