import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import type { IDataProvider, IPausable } from '../data/provider';
import type { IMountOptions, IMounted } from '../mount';
import { mount } from '../mount';
import type { ViewName } from '../views';

/**
 * A Lumino panel around a view. The view is made when the panel is first seen; while it is hidden nothing is asked.
 * `onSeen` is called each time it comes into sight.
 */
export class ViewPanel extends Widget {
  constructor(
    private _view: ViewName,
    private _provider: IDataProvider & IPausable,
    private _options: IMountOptions,
    private _onSeen: () => void = () => undefined
  ) {
    super();
    this.addClass('mn-panel');
    _provider.pause();
  }

  /** Show the same view with other options. */
  configure(options: Partial<IMountOptions>): void {
    this._options = { ...this._options, ...options };
    this._mounted?.update(options);
  }

  get options(): IMountOptions {
    return this._options;
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._mounted?.dispose();
    this._provider.pause();
    super.dispose();
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (this.isVisible) {
      this._seen();
    }
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._seen();
  }

  protected onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this._provider.pause();
  }

  protected onBeforeDetach(msg: Message): void {
    this._provider.pause();
    super.onBeforeDetach(msg);
  }

  protected onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    this.node
      .querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')
      ?.focus();
  }

  private _seen(): void {
    this._provider.resume();
    this._mounted ??= mount(
      this.node,
      this._view,
      this._provider,
      this._options
    );
    this._onSeen();
  }

  private _mounted: IMounted | undefined;
}
