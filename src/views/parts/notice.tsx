import * as React from 'react';

import type { RpcError } from '../../data/provider';
import { useHost } from '../host';
import { typed } from './typed';

/** The two sentences of an error, from the catalogue where it is one of the front end's own. */
export function useSentences(): (error: {
  code: string;
  message: string;
  hint: string;
}) => { message: string; hint: string } {
  const { t } = useHost();
  return ({ code, message, hint }) =>
    t.has(code)
      ? {
          message: t(code, { detail: message }),
          hint: t.has(`${code}.hint`) ? t(`${code}.hint`) : hint
        }
      : { message, hint };
}

/** What went wrong and what to do next. */
export function ErrorNotice(props: {
  error: RpcError | { code: string; message: string; hint: string };
  retry?: () => void;
}): React.ReactElement {
  const { t } = useHost();
  const { message, hint } = useSentences()(props.error);
  return (
    <div
      className="mn-notice mn-notice-error"
      role="alert"
      data-testid="mn-error"
    >
      <p className="mn-notice-message">{message}</p>
      {hint && <p className="mn-notice-hint">{typed(hint)}</p>}
      {props.retry && (
        <button className="mn-button" onClick={props.retry}>
          {t('ui.action.retry')}
        </button>
      )}
    </div>
  );
}

/** Nothing here, and how that changes: `code` can be put into a cell. */
export function Empty(props: {
  title: string;
  body: string;
  code?: string;
}): React.ReactElement {
  const { t, actions } = useHost();
  const { code } = props;
  return (
    <div className="mn-empty" data-testid="mn-empty">
      <p className="mn-empty-title">{props.title}</p>
      <p className="mn-empty-body">{props.body}</p>
      {code && <code className="mn-code">{code}</code>}
      {code && actions.insertCell && (
        <button
          className="mn-button"
          onClick={() => actions.insertCell?.(code)}
        >
          {t('ui.action.insert')}
        </button>
      )}
    </div>
  );
}

/** A heading with what belongs under it. */
export function Section(props: {
  title: string;
  extra?: React.ReactNode;
  children: React.ReactNode;
}): React.ReactElement {
  return (
    <section className="mn-section">
      <header className="mn-section-head">
        <h3 className="mn-section-title">{props.title}</h3>
        {props.extra}
      </header>
      {props.children}
    </section>
  );
}

/** Pairs of a name and a value; a pair that has nothing to show is left out. */
export function Facts(props: {
  rows: [string, React.ReactNode][];
}): React.ReactElement | null {
  const rows = props.rows.filter(
    ([, value]) =>
      value !== null && value !== undefined && value !== false && value !== ''
  );
  return rows.length ? (
    <dl className="mn-facts">
      {rows.map(([name, value]) => (
        <React.Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </React.Fragment>
      ))}
    </dl>
  ) : null;
}
