import { act } from '@testing-library/react';
import { Panel, Widget } from '@lumino/widgets';

import { ViewPanel } from '../../src/hosts/panel';
import { recorded } from './stage';

/** Do something, and wait until the view has come to rest. */
const settled = (what: () => void = () => undefined) =>
  act(async () => {
    what();
    await new Promise(resolve => setTimeout(resolve, 50));
  });

function made() {
  const log: string[] = [];
  const provider = Object.assign(recorded(), {
    pause: () => void log.push('pause'),
    resume: () => void log.push('resume')
  });
  const panel = new ViewPanel('runs', provider, {
    params: {},
    language: 'en',
    place: 'panel',
    actions: { copy: async () => false, openExternal: () => undefined }
  });
  return { log, provider, panel };
}

describe('the panel', () => {
  it('asks nothing before it is seen, pauses when hidden, ends when disposed', async () => {
    const { log, provider, panel } = made();
    const shell = new Panel();
    Widget.attach(shell, document.body);
    panel.hide();
    shell.addWidget(panel);
    await settled();
    expect(log).toEqual(['pause']);
    expect(provider.calls).toHaveLength(0);

    await settled(() => panel.show());
    expect(log.pop()).toBe('resume');
    expect(panel.node.querySelectorAll('[data-run]').length).toBeGreaterThan(3);

    await settled(() => panel.hide());
    expect(log.pop()).toBe('pause');
    await settled(() => panel.show());
    expect(log.pop()).toBe('resume');

    const asked = provider.calls.length;
    await settled(() => panel.configure({ language: 'zh' }));
    expect(provider.calls.length).toBeGreaterThan(asked);
    expect(panel.node.textContent).toContain('已完成');

    await settled(() => panel.dispose());
    expect(log.pop()).toBe('pause');
    expect(provider.watchers.empty).toBe(true);
    shell.dispose();
  });
});
