import * as React from 'react';

import type { IText } from '../../text';

interface IFenceProps {
  t: IText;
  children: React.ReactNode;
}

/**
 * Keeps a view's mistake inside the view: the error is shown in its place.
 */
export class Fence extends React.Component<IFenceProps, { error?: Error }> {
  state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  render(): React.ReactNode {
    const { t, children } = this.props;
    const { error } = this.state;
    return error ? (
      <div className="mn-notice mn-notice-error" role="alert">
        <p className="mn-notice-message">
          {t('ui.error.view', { error: error.message })}
        </p>
        <button
          className="mn-button"
          onClick={() => this.setState({ error: undefined })}
        >
          {t('ui.action.retry')}
        </button>
      </div>
    ) : (
      children
    );
  }
}
