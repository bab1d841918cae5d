// What can be wrong in our scripts without being seen before it runs: names that are not there, and what nobody uses.

import js from '@eslint/js';
import globals from 'globals';

export default [
  js.configs.recommended,
  {
    languageOptions: { globals: globals.node },
    rules: {
      'no-unused-vars': ['error', { varsIgnorePattern: '^_', ignoreRestSiblings: true }],
      'no-control-regex': 'off', // they are what is looked for
    },
  },
  // Some of it runs in a page.
  { files: ['tests/support/browser.mjs'], languageOptions: { globals: { EventSource: 'readonly' } } },
  { files: ['k6/*.js'], languageOptions: { globals: { __ENV: 'readonly', __VU: 'readonly', __ITER: 'readonly', console: 'readonly' } } },
];
