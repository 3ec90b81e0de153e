import js from '@eslint/js';
import jupyter from '@jupyter/eslint-plugin';
import prettier from 'eslint-config-prettier';
import globals from 'globals';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      '**/node_modules/',
      '.venv/',
      'build/',
      'coverage/',
      'dist/',
      'examples/',
      'lib/',
      'labextension/',
      'python/',
      'tests/ui/',
      '**/*.js',
      '**/*.mjs'
    ]
  },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    files: ['src/**/*.{ts,tsx}', 'tests/ts/**/*.{ts,tsx}'],
    plugins: { jupyter },
    languageOptions: {
      globals: { ...globals.browser, ...globals.jest },
      parserOptions: {
        project: './tsconfig.test.json',
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      ...jupyter.configs.recommended.rules,
      '@typescript-eslint/naming-convention': [
        'error',
        {
          selector: 'interface',
          format: ['PascalCase'],
          custom: { regex: '^I[A-Z]', match: true }
        }
      ],
      '@typescript-eslint/no-unused-vars': ['error', { args: 'none' }],
      '@typescript-eslint/no-use-before-define': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      curly: ['error', 'all'],
      eqeqeq: 'error',
      'no-console': ['error', { allow: ['error'] }],
      'prefer-arrow-callback': 'error'
    }
  },
  {
    // A view stands in a notebook cell too, where nothing of JupyterLab is at hand.
    files: [
      'src/views/**/*.{ts,tsx}',
      'src/data/{provider,comm,fake,types,watchers}.ts',
      'src/mount.tsx',
      'src/hosts/{widget,page}.tsx',
      'src/text.ts'
    ],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['@jupyterlab/*', '@lumino/*', '@jupyter/*'] },
            { group: ['**/tokens'], allowTypeImports: true }
          ]
        }
      ]
    }
  },
  prettier
);
