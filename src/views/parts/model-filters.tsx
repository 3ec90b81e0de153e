import * as React from 'react';

import type { Facets } from '../../data/answers';
import type { Params } from '../../data/provider';
import type { IText } from '../../text';
import { useHost } from '../host';
import { useLive } from '../live';
import { useTaskName } from './model-facts';
import { Pick } from './pick';

const TASKS = [
  'text-classification',
  'token-classification',
  'question-answering',
  'text-generation',
  'text2text-generation',
  'translation',
  'summarization',
  'fill-mask',
  'feature-extraction',
  'sentence-similarity',
  'multi-label-classification',
  'text-regression',
  'image-classification',
  'audio-classification',
  'automatic-speech-recognition',
  'table'
];
const LICENCES = [
  'commercial',
  'permissive',
  'copyleft',
  'noncommercial',
  'other',
  'unknown'
];
/** Those that most models have, to be picked as themselves. */
const EXACT = [
  'apache-2.0',
  'mit',
  'bsd-3-clause',
  'cc-by-4.0',
  'cc-by-sa-4.0',
  'cc-by-nc-4.0',
  'gpl-3.0'
];
const LANGUAGES = ['en', 'zh', 'multilingual'];
const SIZES = ['<100M', '100M-500M', '500M-1B', '1B-8B', '>8B'];
const FORMATS = [
  'safetensors',
  'gguf',
  'onnx',
  'openvino',
  'sklearn',
  'pickle'
];
const FITS = ['run', 'lora', 'full'];
const SORTS = ['downloads', 'likes', 'updated', 'size'];

/** What the models are narrowed down by; empty where it is left open. */
export interface IFilters {
  task: string;
  license: string;
  source: string;
  sort: string;
  language: string;
  params: string;
  format: string;
  gated: string;
  fits: string;
}

export const NO_FILTERS: IFilters = {
  task: '',
  license: '',
  source: '',
  sort: '',
  language: '',
  params: '',
  format: '',
  gated: '',
  fits: ''
};

/** What is asked for. */
export function asked(
  query: string,
  filters: IFilters,
  limit: number
): Params<'search'> {
  const { sort, fits } = filters;
  return {
    ...narrowed(query, filters),
    ...(fits && { fits }),
    ...(sort && { sort }),
    limit
  };
}

/** What the counts beside the filters are asked by. */
export function narrowed(
  query: string,
  { task, license, source, language, params, format, gated }: IFilters
): Params<'facets'> {
  return {
    query,
    ...(task && { task }),
    ...(license && { license }),
    ...(language && { language }),
    ...(params && { params }),
    ...(format && { format }),
    ...(gated && { gated: gated === 'gated' }),
    ...(source && { source })
  };
}

/** A language as the reader calls it; its code where nobody has a word for it. */
function languageName(code: string, t: IText): string {
  if (code === 'multilingual') {
    return t('ui.filter.multilingual');
  }
  try {
    return (
      new Intl.DisplayNames([t.lang], { type: 'language' }).of(code) ?? code
    );
  } catch {
    return code;
  }
}

/** The pick-lists above the models: what most people want in sight, the rest folded. */
export function ModelFilters(props: {
  value: IFilters;
  counts: Facets;
  onChange(value: IFilters): void;
}): React.ReactElement {
  const { t } = useHost();
  const taskName = useTaskName();
  const sources = useLive('sources', {}, ['sources']);
  const { value, counts } = props;
  const more = [
    value.language,
    value.params,
    value.format,
    value.gated,
    value.fits
  ].filter(Boolean).length;
  const counted = (facet: string, key: string, name: string) => {
    const n = counts[facet]?.[key];
    return n ? t('ui.filter.counted', { name, n }) : name;
  };
  const pick = (
    name: keyof IFilters,
    label: string,
    options: [value: string, label: string][]
  ) => (
    <Pick
      label={t(label)}
      value={value[name]}
      options={options}
      onPick={picked => props.onChange({ ...value, [name]: picked })}
    />
  );
  const languages = new Set([
    ...LANGUAGES,
    ...Object.keys(counts.language ?? {}),
    ...(value.language ? [value.language] : [])
  ]);
  return (
    <>
      <div className="mn-filters">
        {pick(
          'task',
          'ui.filter.task',
          TASKS.map(task => [task, counted('task', task, taskName(task))])
        )}
        {pick('license', 'ui.filter.licence', [
          ...LICENCES.map((kind): [string, string] => [
            kind,
            counted('license', kind, t(`ui.licence_short.${kind}`))
          ]),
          ...EXACT.map((id): [string, string] => [id, id])
        ])}
        {pick(
          'source',
          'ui.filter.source',
          (sources.value?.items ?? []).map(({ name }) => [
            name,
            counted('source', name, name)
          ])
        )}
        {pick(
          'sort',
          'ui.filter.sort',
          SORTS.map(sort => [sort, t(`ui.sort.${sort}`)])
        )}
      </div>
      <details className="mn-details">
        <summary>
          {more
            ? t('ui.filter.counted', { name: t('ui.filter.more'), n: more })
            : t('ui.filter.more')}
        </summary>
        <div className="mn-filters">
          {pick(
            'language',
            'ui.filter.language',
            [...languages].map(code => [
              code,
              counted('language', code, languageName(code, t))
            ])
          )}
          {pick(
            'params',
            'ui.filter.params',
            SIZES.map(size => [size, t('ui.models.parameters', { n: size })])
          )}
          {pick(
            'format',
            'ui.filter.format',
            FORMATS.map(format => [format, counted('format', format, format)])
          )}
          {pick(
            'gated',
            'ui.filter.gated',
            ['open', 'gated'].map(key => [
              key,
              counted('gated', key, t(`ui.gated.${key}`))
            ])
          )}
          {pick(
            'fits',
            'ui.filter.fits',
            FITS.map(what => [what, t(`ui.fits.${what}`)])
          )}
        </div>
      </details>
    </>
  );
}
