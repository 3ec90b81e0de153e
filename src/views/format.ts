import type { IText } from '../text';

const NOTHING = '–';

function short(value: number, lang: string): string {
  return new Intl.NumberFormat(lang, {
    maximumFractionDigits: value < 10 ? 1 : 0
  }).format(value);
}

/** A count in full: 2,225. */
export function count(value: number | null | undefined, t: IText): string {
  return value === null || value === undefined
    ? NOTHING
    : new Intl.NumberFormat(t.lang).format(value);
}

/** A count of parameters or downloads in three characters: 22.7M. */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined) {
    return NOTHING;
  }
  return new Intl.NumberFormat('en', {
    notation: 'compact',
    maximumFractionDigits: 1
  }).format(value);
}

const NAMED_FROM = 0.01;

/** The types of a model's numbers: F16, or I8 76%, F32 24%; position ids and the like are too few to be named. */
export function types(dtypes: Record<string, number>): string {
  const every = Object.values(dtypes).reduce((sum, n) => sum + n, 0);
  const named = Object.entries(dtypes)
    .filter(([, n]) => every > 0 && n / every >= NAMED_FROM)
    .sort(([, one], [, other]) => other - one);
  return named
    .map(([type, n]) =>
      named.length === 1 ? type : `${type} ${Math.round((100 * n) / every)}%`
    )
    .join(', ');
}

/** Bytes in the unit that reads best: 90.9 MB. */
export function bytes(value: number | null | undefined, t: IText): string {
  if (value === null || value === undefined) {
    return NOTHING;
  }
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${short(scaled, t.lang)} ${units[unit]}`;
}

/** A metric or a loss: four figures that count. */
export function figure(value: number | null | undefined, t: IText): string {
  if (value === null || value === undefined) {
    return NOTHING;
  }
  const size = Math.abs(value);
  if (size !== 0 && size < 0.001) {
    return value.toExponential(1);
  }
  const digits = size < 10 ? 3 : size < 1000 ? 1 : 0;
  return new Intl.NumberFormat(t.lang, {
    minimumFractionDigits: Number.isInteger(value) && size > 1 ? 0 : digits,
    maximumFractionDigits: digits
  }).format(value);
}

/** A number where nobody counts its places: 3.1, 331.5. */
export function plain(value: number | null | undefined, t: IText): string {
  return value === null || value === undefined
    ? NOTHING
    : new Intl.NumberFormat(t.lang, { maximumSignificantDigits: 4 }).format(
        value
      );
}

/** A latency. */
export function ms(value: number | null | undefined, t: IText): string {
  return value === null || value === undefined
    ? NOTHING
    : t('ui.time.ms', { ms: plain(value, t) });
}

/** A length of time: 42 s, 3 min 5 s, 2 h 10 min. */
export function duration(seconds: number | null | undefined, t: IText): string {
  if (seconds === null || seconds === undefined || !isFinite(seconds)) {
    return NOTHING;
  }
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) {
    return t('ui.time.s', { s });
  }
  const m = Math.floor(s / 60);
  return s < 3600
    ? t('ui.time.m_s', { m, s: s % 60 })
    : t('ui.time.h_m', { h: Math.floor(m / 60), m: m % 60 });
}

/** How long ago: 5m ago. */
export function ago(
  iso: string | null | undefined,
  t: IText,
  now = Date.now()
): string {
  const then = iso ? Date.parse(iso) : NaN;
  if (isNaN(then)) {
    return NOTHING;
  }
  const seconds = (then - now) / 1000;
  if (Math.abs(seconds) < 45) {
    return t('ui.time.now');
  }
  const steps: [Intl.RelativeTimeFormatUnit, number][] = [
    ['year', 31557600],
    ['month', 2629800],
    ['day', 86400],
    ['hour', 3600],
    ['minute', 60]
  ];
  const [unit, size] =
    steps.find(([, one]) => Math.abs(seconds) >= one) ?? steps[4];
  return new Intl.RelativeTimeFormat(t.lang, {
    numeric: 'auto',
    style: 'narrow'
  }).format(Math.round(seconds / size), unit);
}

/** A moment, in this browser's time zone. */
export function moment(iso: string | null | undefined, t: IText): string {
  const then = iso ? Date.parse(iso) : NaN;
  return isNaN(then)
    ? NOTHING
    : new Intl.DateTimeFormat(t.lang, {
        dateStyle: 'medium',
        timeStyle: 'short'
      }).format(then);
}

/** Anything that a cell of a table may hold. */
export function anything(value: unknown, t: IText): string {
  if (value === null || value === undefined || value === '') {
    return NOTHING;
  }
  if (typeof value === 'number') {
    return Number.isInteger(value) ? count(value, t) : plain(value, t);
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
