const jestJupyterLab = require('@jupyterlab/testing/lib/jest-config');

const esModules = [
  '@codemirror',
  '@jupyter/',
  '@jupyterlab/',
  '@marijn',
  '@microsoft',
  'color',
  'exenv-es6',
  'lib0',
  'marked',
  'nanoid',
  'vscode-ws-jsonrpc',
  'y-protocols',
  'y-websocket',
  'yjs'
].join('|');

const base = jestJupyterLab(__dirname);

module.exports = {
  ...base,
  reporters: ['default'],
  testRegex: 'tests/ts/.*\\.spec\\.tsx?$',
  modulePathIgnorePatterns: [
    '<rootDir>/\\.venv[^/]*/',
    '<rootDir>/labextension/build/',
    '<rootDir>/lib/'
  ],
  watchPathIgnorePatterns: ['<rootDir>/\\.venv[^/]*/'],
  transformIgnorePatterns: [`/node_modules/(?!${esModules}).+`]
};
