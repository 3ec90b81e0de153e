import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ServerConnection } from '@jupyterlab/services';
import { CommandRegistry } from '@lumino/commands';
import { Widget } from '@lumino/widgets';
import { act, waitFor } from '@testing-library/react';

import plugins from '../../src';
import { commands } from '../../src/plugins/commands';
import { sidebar } from '../../src/plugins/sidebar';

type Answer = (url: string) => Response;

const NOBODY: Answer = () => new Response('', { status: 404 });

function app(answer: Answer) {
  const added: { widget: Widget; area: string }[] = [];
  const activated: string[] = [];
  return {
    added,
    activated,
    commands: new CommandRegistry(),
    serviceManager: {
      serverSettings: ServerConnection.makeSettings({
        fetch: async asked => answer((asked as Request).url)
      })
    },
    shell: {
      add: (widget: Widget, area: string) => added.push({ widget, area }),
      activateById: (id: string) => activated.push(id)
    }
  };
}

function cell(source: string, type = 'code') {
  const shared = {
    source,
    setSource: (text: string) => {
      shared.source = text;
    }
  };
  return { model: { type, sharedModel: shared } };
}

/** As much of a notebook as NotebookActions.insertBelow is kept from: its active cell is empty. */
function tracker(cells: ReturnType<typeof cell>[]) {
  return {
    currentWidget: {
      content: {
        model: {},
        widgets: cells,
        activeCell: cells[cells.length - 1],
        activate: () => undefined
      }
    }
  };
}

async function activated(notebooks: unknown = null, answer = NOBODY) {
  const lab = app(answer);
  const front = lab as unknown as JupyterFrontEnd;
  const side = await sidebar.activate(front, null, null);
  const items: { command: string }[] = [];
  const palette = { addItem: (item: { command: string }) => items.push(item) };
  await commands.activate(front, side, palette, notebooks);
  return { lab, side, items };
}

describe('the plugins', () => {
  it('are three, each with an id of its own', () => {
    expect(plugins.map(plugin => plugin.id)).toEqual([
      'modelnook:sidebar',
      'modelnook:commands',
      'modelnook:plugin'
    ]);
  });

  it('put one panel on the left, with or without JupyterLab around', async () => {
    const { lab, side } = await activated();
    expect(lab.added).toHaveLength(1);
    expect(lab.added[0].area).toBe('left');
    expect(lab.added[0].widget.id).toBe('modelnook-sidebar');
    side.configure({ language: 'zh' });
    expect(lab.added[0].widget.title.caption).toContain('模型');
    expect(side.text('ui.tab.runs')).toBe('运行');
  });

  it.each([
    [{ language: 'auto', speaks: 'zh' }, '运行'],
    [{ language: 'auto', speaks: 'en' }, 'Runs'],
    [null, 'Runs']
  ])('label as modelnook speaks: %j', async (said, label) => {
    const asked: string[] = [];
    const { lab, side } = await activated(null, (url: string) => {
      asked.push(url.split('/api/')[1].split('?')[0]);
      return url.includes('/settings') && said
        ? Response.json(said)
        : Response.json({}, { status: 404 });
    });
    expect(asked).toEqual([]);
    act(() => Widget.attach(lab.added[0].widget, document.body));
    await waitFor(() => expect(asked).toContain('settings'));
    await act(() => new Promise(resolve => setTimeout(resolve, 20)));
    expect(side.text('ui.tab.runs')).toBe(label);
    expect(lab.added[0].widget.node.textContent).toContain(label);
    act(() => side.configure({ language: 'en' }));
    expect(side.text('ui.tab.runs')).toBe('Runs');
    act(() => lab.added[0].widget.dispose());
  });

  it('open the tabs', async () => {
    const { lab, items } = await activated();
    await lab.commands.execute('modelnook:open-runs');
    await lab.commands.execute('modelnook:open-models');
    expect(lab.activated).toEqual(['modelnook-sidebar', 'modelnook-sidebar']);
    expect(items.map(item => item.command)).toEqual([
      'modelnook:open-models',
      'modelnook:open-runs',
      'modelnook:insert'
    ]);
    expect(lab.commands.label('modelnook:open-runs')).toBe(
      'Open the Run History'
    );
  });

  it('insert into an empty cell, with the line that loads the magics where it is missing', async () => {
    const cells = [cell('import this'), cell('')];
    const { lab } = await activated(tracker(cells));
    await lab.commands.execute('modelnook:insert', { code: '%model runs' });
    expect(cells[1].model.sharedModel.source).toBe(
      '%load_ext modelnook\n%model runs'
    );

    const loaded = [cell('%load_ext modelnook'), cell(' ')];
    const second = await activated(tracker(loaded));
    await second.lab.commands.execute('modelnook:insert', { code: '%model' });
    expect(loaded[1].model.sharedModel.source).toBe('%model');
  });
});
