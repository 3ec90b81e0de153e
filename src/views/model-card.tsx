import * as React from 'react';

import type { ModelInfo, Terms } from '../data/types';
import type { IText } from '../text';
import { ago, bytes, compact, count, figure, types } from './format';
import type { IViewProps } from './host';
import { useHost } from './host';
import { useLive } from './live';
import { Jump } from './parts/jump';
import { Memory, licenceOf, useTaskName } from './parts/model-facts';
import { ErrorNotice, Facts, Section } from './parts/notice';

const LABELS_SHOWN = 12;

/**
 * All that is known of one model, and what to do with it. Params: `ref`.
 */
export function ModelCard({ params }: IViewProps): React.ReactElement {
  const { t } = useHost();
  const ref = String(params.ref ?? '');
  const {
    value: info,
    error,
    reload
  } = useLive('info', { ref }, [`model:${ref}`]);
  if (error) {
    return <ErrorNotice error={error} retry={reload} />;
  }
  return info ? (
    <Card info={info} />
  ) : (
    <p className="mn-status" role="status">
      {t('ui.loading')}
    </p>
  );
}

function Card({ info }: { info: ModelInfo }): React.ReactElement {
  const { t } = useHost();
  const taskName = useTaskName();
  return (
    <article className="mn-card" data-testid="mn-model-card">
      <header className="mn-card-head">
        <h2 className="mn-title">{info.name || info.id}</h2>
        <span className="mn-badge">{info.source}</span>
      </header>
      <code className="mn-ref">{info.ref}</code>
      {info.summary && <p className="mn-summary">{info.summary}</p>}
      <UseIt info={info} />
      {info.risks.length > 0 && (
        <ul className="mn-risks" aria-label={t('ui.card.risks')}>
          {info.risks.map(risk => (
            <li key={risk.code} className="mn-notice mn-notice-warn">
              {risk.message}
            </li>
          ))}
        </ul>
      )}
      {info.gated && info.page && (
        <p className="mn-notice mn-notice-note" data-testid="mn-gated">
          {t('ui.card.gated')} <Page address={info.page} />
        </p>
      )}
      <Facts
        rows={[
          [t('ui.card.task'), info.task && taskName(info.task)],
          [
            t('ui.card.parameters'),
            info.parameters !== null ? compact(info.parameters) : null
          ],
          [t('ui.card.types'), types(info.dtypes ?? {})],
          [t('ui.card.size'), size(info, t)],
          [t('ui.card.architecture'), info.architecture],
          [t('ui.card.formats'), info.formats.join(', ')],
          [t('ui.card.language'), info.language.join(', ')],
          [
            t('ui.card.downloads'),
            info.downloads !== null ? count(info.downloads, t) : null
          ],
          [
            t('ui.card.likes'),
            info.likes !== null ? count(info.likes, t) : null
          ],
          [t('ui.card.updated'), info.updated && ago(info.updated, t)]
        ]}
      />
      <Section title={t('ui.card.licence')}>
        <p className="mn-licence-line">
          <span className={`mn-licence mn-licence-${info.license_kind}`}>
            {licenceOf(info, t)}
          </span>
          <span className="mn-small">
            {t(`ui.licence.${info.license_kind}`)}
          </span>
        </p>
        {info.terms && info.license_kind !== 'own' && (
          <LicenceTerms terms={info.terms} />
        )}
      </Section>
      {(info.memory_run ?? info.memory_full) !== null && (
        <Section title={t('ui.card.memory')}>
          <Memory info={info} />
        </Section>
      )}
      <Lineage info={info} />
      {Object.keys(info.metrics).length > 0 && (
        <Section title={t('ui.card.metrics')}>
          <Facts
            rows={Object.entries(info.metrics).map(([name, value]) => [
              name,
              figure(value, t)
            ])}
          />
        </Section>
      )}
      {info.layers && (
        <details className="mn-details">
          <summary>{t('ui.card.layers')}</summary>
          <pre className="mn-pre">{info.layers}</pre>
        </details>
      )}
    </article>
  );
}

/** Its size, and what the disk has free where that is less. */
function size(info: ModelInfo, t: IText): string | null {
  if (info.bytes === null) {
    return null;
  }
  const said = bytes(info.bytes, t);
  return info.disk_free !== null && info.bytes > info.disk_free
    ? t('ui.card.no_room', { size: said, free: bytes(info.disk_free, t) })
    : said;
}

/** A model's page; an address of another kind than a web page's is told and leads nowhere. */
function Page({ address }: { address: string }): React.ReactElement {
  return /^https?:\/\//.test(address) ? (
    <a className="mn-link" href={address} target="_blank" rel="noreferrer">
      {address}
    </a>
  ) : (
    <code>{address}</code>
  );
}

/** The licence in plain words, and the clause that they rest on. */
function LicenceTerms({ terms }: { terms: Terms }): React.ReactElement {
  const { t } = useHost();
  const answer = (said: string) => t(`ui.answer.${said}`);
  return (
    <>
      <Facts
        rows={[
          [
            t('ui.card.commercial'),
            answer(terms.commercial) +
              (terms.condition && ` (${terms.condition})`)
          ],
          [t('ui.card.share_alike'), answer(terms.share_alike)],
          [t('ui.card.must'), terms.must],
          [t('ui.card.forbidden'), terms.forbidden]
        ]}
      />
      {terms.clause && (
        <blockquote className="mn-small">
          {terms.name}: “{terms.clause}”
        </blockquote>
      )}
      <p className="mn-small">{terms.note}</p>
    </>
  );
}

function Lineage({ info }: { info: ModelInfo }): React.ReactElement | null {
  const { t, open } = useHost();
  const labels = info.labels.slice(0, LABELS_SHOWN).join(', ');
  const more = info.labels.length - LABELS_SHOWN;
  const toModel = open && ((id: string) => open('model-card', id));
  const bases = info.bases?.length ? info.bases : [info.base_model ?? ''];
  const how = `ui.relation.${info.relation}`;
  const rows: [string, React.ReactNode][] = [
    [
      t('ui.card.base'),
      bases[0] && (
        <>
          {bases.map(id => (
            <React.Fragment key={id}>
              <Jump id={id} to={toModel} />{' '}
            </React.Fragment>
          ))}
          {t.has(how) && `(${t(how)})`}
        </>
      )
    ],
    [
      t('ui.card.also'),
      info.also?.length > 0 &&
        info.also.map(id => (
          <React.Fragment key={id}>
            <Jump id={id} to={toModel} />{' '}
          </React.Fragment>
        ))
    ],
    [
      t('ui.card.made_by'),
      info.run && <Jump id={info.run} to={open && (id => open('run', id))} />
    ],
    [t('ui.card.revision'), info.revision],
    [t('ui.card.page'), info.page && <Page address={info.page} />],
    [t('ui.card.labels'), more > 0 ? `${labels} +${more}` : labels],
    [t('ui.card.path'), info.path && <code>{info.path}</code>]
  ];
  return rows.some(([, value]) => value) ? (
    <Section title={t('ui.card.lineage')}>
      <Facts rows={rows} />
    </Section>
  ) : null;
}

/** The cells that start something with a model. */
function recipes(info: ModelInfo): [id: string, code: string][] {
  const ref = /\s/.test(info.ref) ? JSON.stringify(info.ref) : info.ref;
  const start: [string, string][] = [
    ['finetune', `%model finetune ${ref} --data train --name my-model`],
    ['load', `%model load ${ref} -o model`]
  ];
  const use: [string, string][] = [
    ['predict', `%model predict ${ref} --data rows`],
    ['evaluate', `%model evaluate ${ref} --data test`],
    ['quantize', `%model quantize ${ref} --to int8`]
  ];
  const every =
    info.labels.length || info.source === 'local' ? [...use, ...start] : start;
  return every.filter(([id]) => !info.unfit?.includes(id));
}

function UseIt({ info }: { info: ModelInfo }): React.ReactElement {
  const { t, actions } = useHost();
  const [chosen, setChosen] = React.useState<string | null>(null);
  const [copied, setCopied] = React.useState(false);
  const choices = recipes(info);
  const [id, code] = choices.find(([one]) => one === chosen) ??
    choices[0] ?? ['', ''];
  const inserts = choices.length > 0 && actions.insertCell;

  React.useEffect(() => {
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);

  return (
    <div className="mn-use">
      {inserts && (
        <>
          <div
            className="mn-chips"
            role="radiogroup"
            aria-label={t('ui.insert.what')}
          >
            {choices.map(([one]) => (
              <label key={one} className="mn-chip">
                <input
                  type="radio"
                  name={`mn-insert-${info.ref}`}
                  value={one}
                  checked={one === id}
                  onChange={() => setChosen(one)}
                />
                <span>{t(`ui.insert.${one}`)}</span>
              </label>
            ))}
          </div>
          <code className="mn-code" data-testid="mn-code">
            {code}
          </code>
        </>
      )}
      <div className="mn-buttons">
        {inserts && (
          <button
            className="mn-button mn-primary"
            onClick={() => inserts(code)}
            data-testid="mn-insert"
          >
            {t('ui.action.insert')}
          </button>
        )}
        <button
          className="mn-button"
          onClick={() => {
            void actions.copy(info.ref).then(setCopied);
          }}
          data-testid="mn-copy"
        >
          {copied ? t('ui.action.copied') : t('ui.action.copy_ref')}
        </button>
      </div>
    </div>
  );
}
