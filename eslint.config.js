import path from 'node:path'
import { fileURLToPath } from 'node:url'
import regexp from 'eslint-plugin-regexp'
import tseslint from 'typescript-eslint'
import { importOrder, uniqueFileName } from './.ci/lintRules.mjs'

const root = path.dirname(fileURLToPath(import.meta.url))

/**
 * The import rules: each dependency, or folder, with the only files that may import it, be it with `import`, `import type`,
 * `export … from` or `import()`. Tests may import anything.
 */
const boundaries = [
  {
    to: ['nodemailer/lib/addressparser'],
    from: ['src/message/addresses.ts', 'workers/**'],
    why: 'Addresses are parsed in one place, src/message/addresses.ts, so that all parts agree on what an address is.',
  },
  {
    to: ['nodemailer', 'nodemailer/**'],
    except: ['nodemailer/lib/addressparser', 'nodemailer/lib/well-known', 'nodemailer/lib/mime-funcs'],
    from: [
      'workers/**',
      'src/bench/baselines/inlineSending.ts',
      'src/nodemailer/builtMessage.ts',
      'src/nodemailer/localDelivery.ts',
    ],
    typesFrom: ['src/nodemailer/**'],
    why: 'The main thread composes and sends nothing itself: nodemailer belongs to workers/. Only messages that are returned to the caller, or that nodemailer alone can express, are composed here.',
  },
  {
    to: ['nodemailer/lib/mime-funcs'],
    from: ['src/nodemailer/attachmentMapping.ts', 'workers/**'],
    why: "nodemailer's list of types is for those who come from nodemailer, and for composing.",
  },
  {
    to: ['nodemailer/lib/well-known'],
    from: ['src/nodemailer/toTransport.ts'],
    why: "nodemailer's list of services is for those who come from nodemailer.",
  },
  {
    to: ['mjml', 'mjml/**', 'mjml-*', 'mjml-*/**', 'handlebars', 'handlebars/**'],
    from: ['workers/**', 'src/bench/baselines/inlineSending.ts'],
    why: 'The main thread renders nothing and loads in under 100 ms: templates are compiled and bound in workers/.',
  },
  {
    to: ['piscina', 'piscina/**'],
    from: ['src/threads/pool.ts'],
    why: 'src/threads/pool.ts is the only importer of piscina, so that nothing else depends on its queue or its errors.',
  },
  {
    to: ['bullmq', 'bullmq/**', 'ioredis', 'ioredis/**'],
    from: ['src/queue/redis/**', 'src/bench/baselines/bullmq.ts'],
    why: 'Redis is an optional peer: only its queue driver may load it.',
  },
  {
    to: ['pg', 'pg/**'],
    from: ['src/queue/postgres/**'],
    why: 'pg is an optional peer: only its queue driver may load it.',
  },
  {
    to: ['amqplib', 'amqplib/**'],
    from: ['src/intake/amqpSession.ts'],
    why: 'amqplib is an optional peer: src/intake/amqpSession.ts is its only importer.',
  },
  {
    to: ['socks', 'socks/**'],
    from: ['workers/transports/smtp/openSocket.ts'],
    why: 'socks is an optional peer: workers/transports/smtp/openSocket.ts is its only importer.',
  },
  {
    to: ['@nestjs/*', 'reflect-metadata', 'rxjs'],
    from: ['src/nestjs/**'],
    why: 'NestJS is an optional peer: only threadpost/nestjs may load it.',
  },
  {
    in: ['src/nestjs/**'],
    to: ['src/**'],
    except: ['src/index.ts', 'src/mailer.ts'],
    from: [],
    why: 'The module stands outside the core: it sees the public surface.',
  },
  {
    to: ['@opentelemetry/*', '@opentelemetry/**'],
    from: ['src/telemetry/openTelemetry.ts'],
    typesFrom: ['src/telemetry/tracing.ts', 'src/telemetry/instruments.ts'],
    why: 'OpenTelemetry is an optional peer: src/telemetry/openTelemetry.ts is the only importer of its API.',
  },
  {
    to: ['better-sqlite3', 'better-sqlite3/**', 'node:sqlite'],
    from: ['workers/outbox*', 'workers/outbox/**', 'src/queue/sqlite/delivererLock.ts'],
    why: 'SQLite writes block, so the outbox has its own thread: only workers/outbox opens the database. The lock beside it is the process’s.',
  },
  {
    to: ['express', 'express/**', 'helmet', 'cookie', 'zod', 'prom-client'],
    from: [
      'src/web/**',
      'src/express/**',
      'src/fetch/**',
      'src/inbox/**',
      'src/dashboard/*.ts',
      'src/cli/starter/**',
      'src/server/**',
      'src/bench/http/httpLoad.ts',
    ],
    why: 'The core knows nothing of HTTP: only the Express parts and the main server import express and its kin.',
  },
  {
    to: ['preact', 'preact/**'],
    from: ['src/dashboard/app/**'],
    why: 'It runs in the browser: only the dashboard app, which is bundled when building, may import it.',
  },
  {
    in: ['src/dashboard/app/**'],
    to: ['src/**', 'node:*'],
    except: ['src/dashboard/app/**', 'src/protocol/progress.ts'],
    from: [],
    types: true,
    why: 'The app runs in a browser: of everything else it sees types only, and the lists of steps.',
  },
  {
    to: ['commander', 'commander/**'],
    from: ['src/cli/**'],
    why: 'Arguments are read in src/cli only: the library takes options.',
  },
  {
    to: ['smtp-server', 'smtp-server/**'],
    from: ['src/inbox/**', 'src/intake/**'],
    why: 'Receiving mail is for the inbox and the intake: sending never pays for it.',
  },
  {
    to: ['postal-mime', 'postal-mime/**'],
    from: ['src/mime/parseMime.ts', 'src/mime/mimeBody.ts'],
    why: 'Mail is parsed in one place, src/mime/parseMime.ts, for those who show it: sending never pays for it.',
  },
  {
    to: ['workers/render/mjmlPackages.ts'],
    from: ['workers/render/mjml.ts', 'src/bench/baselines/inlineSending.ts'],
    why: 'MJML is put together in one place: workers/render/mjml.ts loads it on demand, and a baseline measures it.',
  },
  {
    to: ['workers/**'],
    except: ['workers/render/mjmlPackages.ts'],
    from: ['workers/**'],
    why: 'The main thread reaches the pipeline through the pool; only src/threads/threadlessRunners.ts (threads: 0) and src/templates/precompile.ts (compiling by hand) may import() it.',
    dynamicFrom: ['src/threads/threadlessRunners.ts', 'src/templates/precompile.ts'],
  },
  {
    to: ['src/bench/baselines/**'],
    from: ['src/bench/baselines/**'],
    dynamicFrom: ['src/bench/subject.ts', 'src/server/start/demoEnvironment.ts'],
    why: 'A baseline is loaded where it is measured, or shown on the start page, and only then: import() it.',
  },
  {
    in: ['workers/**'],
    to: ['src/**'],
    except: ['src/protocol/**', 'src/structures/**', 'src/errors.ts', 'src/privateHosts.ts'],
    from: ['workers/outbox.ts', 'workers/outbox/**'],
    why: 'A thread shares only the protocol, the errors and the data structures with the main thread.',
  },
  {
    in: ['src/protocol/**'],
    to: ['src/**'],
    except: ['src/protocol/**', 'src/errors.ts'],
    from: [],
    why: 'What crosses between threads is plain data, and knows of nothing else.',
  },
  {
    in: ['src/structures/**'],
    to: ['src/**'],
    except: ['src/structures/**'],
    from: [],
    why: 'Data structures hold whatever is put into them, and know nothing of mail.',
  },
  {
    in: ['src/threads/**'],
    to: ['src/**'],
    except: ['src/threads/**', 'src/protocol/**', 'src/structures/**', 'src/errors.ts'],
    from: [],
    why: 'Threads are given tasks and bring back outcomes: they know nothing of queues, retries or who listens.',
  },
  {
    in: ['src/queue/**'],
    to: ['src/threads/**', 'src/delivery/**', 'src/templates/**'],
    except: ['src/protocol/threadFile.ts', 'src/delivery/crashRecovery.ts'],
    from: [],
    types: true,
    why: 'A queue keeps messages and says when each is due: it knows nothing of threads, SMTP or templates.',
  },
  {
    in: ['workers/outbox.ts', 'workers/outbox/**'],
    to: ['src/**'],
    except: [
      'src/queue/sqlite/outboxProtocol.ts',
      'src/queue/storedRow.ts',
      'src/queue/records.ts',
      'src/protocol/outcome.ts',
      'src/protocol/evidence.ts',
      'src/protocol/octets.ts',
      'src/protocol/parseJson.ts',
      'src/clock.ts',
      'src/structures/generationalCache.ts',
      'src/structures/histogram.ts',
    ],
    from: [],
    why: 'The outbox stores what the main thread decides: it shares only what crosses to it, what is known of a lost delivery, what both count, how memory is shared, the watch on the clock, how JSON is parsed, and how files are made.',
  },
  ...Object.entries({
    web: [],
    inbox: ['src/protocol/smtpPaths.ts', 'src/validation.ts'],
    dashboard: ['src/protocol/progress.ts'],
    express: [
      ...['src/message/mailFields.ts', 'src/protocol/progress.ts'],
      ...['src/inbox/inboxRouter.ts', 'src/dashboard/dashboardRouter.ts'],
    ],
    fetch: ['src/express/**', 'src/inbox/inboxRouter.ts', 'src/inbox/inbox.ts'],
  }).map(([part, mounted]) => ({
    in: [`src/${part}/**`],
    to: ['src/**'],
    except: [
      ...['src/index.ts', 'src/mailer.ts', 'src/loopback.ts', 'src/protocol/parseJson.ts', 'src/web/**'],
      ...['src/mime/**', `src/${part}/**`, ...mounted],
    ],
    from: [],
    why: 'This part stands outside the core and beside the others: it sees the public surface (../index.js, types of ../mailer.js), src/web/, src/mime/, what loopback is, and how JSON is parsed.',
  })),
  {
    in: ['src/server/**'],
    to: ['src/**'],
    except: [
      ...['src/index.ts', 'src/mailer.ts', 'src/testHooks.ts', 'src/loopback.ts'],
      'src/protocol/parseJson.ts',
      ...['src/bench/baselines/**', 'src/bench/http/httpLoad.ts'],
      ...['web', 'express', 'inbox', 'server'].map((part) => `src/${part}/**`),
    ],
    from: [],
    why: 'The main server is put together from the parts: of the core it sees the public surface, the test hooks, and how JSON is parsed.',
  },
  {
    in: ['src/nodemailer/**'],
    to: ['src/**'],
    except: [
      'src/index.ts',
      'src/createMailer.ts',
      'src/mailer.ts',
      'src/message/addresses.ts',
      'src/message/calendar.ts',
      'src/message/headers.ts',
      'src/message/mailFields.ts',
      'src/privateHosts.ts',
      'src/protocol/addressForms.ts',
      'src/protocol/unsubscribeFields.ts',
      'src/validation.ts',
      'src/nodemailer/**',
    ],
    from: [],
    why: 'The adapter stands outside the core: it sees the public surface, and how addresses, fields, and hosts are checked.',
  },
  {
    in: ['src/intake/**'],
    to: ['src/**'],
    except: [
      ...['src/index.ts', 'src/mailer.ts', 'src/loopback.ts', 'src/validation.ts', 'src/logging/logger.ts'],
      ...['src/message/addresses.ts', 'src/message/mailFields.ts', 'src/protocol/addressForms.ts'],
      ...['src/protocol/octets.ts', 'src/protocol/octetScan.ts', 'src/protocol/parseJson.ts'],
      ...[
        'src/web/listen.ts',
        'src/mime/parseMime.ts',
        'src/mime/mimeStructure.ts',
        'src/protocol/smtpPaths.ts',
      ],
      ...['src/web/clientNetwork.ts', 'src/intake/**'],
    ],
    from: [],
    types: true,
    why: 'The intake stands outside the core: it sees the public surface, how mail is parsed, how addresses, fields, and octets are checked, how clients are told apart, how memory is shared, and how JSON is parsed.',
  },
  {
    in: ['web', 'express', 'fetch', 'inbox', 'dashboard', 'server', 'intake'].map((part) => `src/${part}/**`),
    to: ['src/mailer.ts'],
    from: [],
    types: true,
    why: 'This part is given a Mailer and makes none: import the type only.',
  },
]

/** Globs of two wildcards: `*` within one path segment, `**` across them. */
const matches = (name, globs) =>
  globs.some((glob) => {
    const pattern = glob
      .replace(/[.+^$()|[\]{}\\]/g, '\\$&')
      .replace(/\*{1,2}/g, (stars) => (stars === '*' ? '[^/]*' : '.*'))
    return new RegExp(`^${pattern}$`).test(name)
  })

/** `../src/errors.js` seen from workers/deliver.ts is `src/errors.ts`; a package stays as it is written. */
function target(file, specifier) {
  if (!specifier.startsWith('.')) return specifier
  return path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '.ts')
}

const project = {
  rules: {
    'import-order': importOrder,
    'unique-file-name': uniqueFileName,
    boundaries: {
      meta: {
        type: 'problem',
        schema: [],
        messages: { closed: "'{{specifier}}' may not be imported here. {{why}}" },
      },
      create(context) {
        const file = path.relative(root, context.filename).split(path.sep).join('/')
        const check = (node, { dynamic = false, type = false } = {}) => {
          const specifier = node?.value ?? node?.quasis?.[0]?.value.cooked
          if (typeof specifier !== 'string') return
          const to = target(file, specifier)
          for (const boundary of boundaries) {
            if (boundary.in && !matches(file, boundary.in)) continue
            if (!matches(to, boundary.to) || (boundary.except && matches(to, boundary.except))) continue
            if (
              matches(file, boundary.from) ||
              (dynamic && boundary.dynamicFrom && matches(file, boundary.dynamicFrom))
            )
              continue
            if (type && (boundary.types || boundary.dynamicFrom?.includes(file))) continue
            if (type && boundary.typesFrom && matches(file, boundary.typesFrom)) continue
            context.report({ node, messageId: 'closed', data: { specifier, why: boundary.why } })
            return
          }
        }
        return {
          ImportDeclaration: (node) => check(node.source, { type: node.importKind === 'type' }),
          ExportNamedDeclaration: (node) => check(node.source, { type: node.exportKind === 'type' }),
          ExportAllDeclaration: (node) => check(node.source),
          ImportExpression: (node) => check(node.source, { dynamic: true }),
          TSImportType: (node) => check(node.source, { type: true }),
        }
      },
    },
  },
}

const exportsByName = [
  {
    selector: 'ExportAllDeclaration',
    message: 'Name each export: `export *` makes the public surface grow by accident.',
  },
  {
    selector: 'ExportDefaultDeclaration, ExportSpecifier[exported.name="default"]',
    message: 'Export by name: a default export is called something else in every file.',
  },
]

const parseJsonInstead = {
  object: 'JSON',
  property: 'parse',
  message: 'Its error quotes the text, which may contain a secret: use src/protocol/parseJson.ts.',
}

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/'] },
  {
    files: ['**/*.{ts,tsx,mts,cts}'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: 'tsconfig.test.json', tsconfigRootDir: root } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // An `async` function without `await` is how an interface promises that it rejects and never throws.
      '@typescript-eslint/require-await': 'off',
      // noUncheckedIndexedAccess is on: in a loop over bytes a `!` says that the index is known to be good.
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    extends: [tseslint.configs.recommended],
  },
  {
    plugins: { project },
    rules: {
      'project/import-order': 'error',
      eqeqeq: 'error',
      'no-duplicate-imports': 'error',
      'no-restricted-syntax': ['error', ...exportsByName],
    },
  },
  {
    files: ['src/**', 'workers/**'],
    rules: { 'project/boundaries': 'error', 'max-lines': ['error', { max: 300 }], 'no-console': 'error' },
  },
  {
    files: ['{src,workers}/**/*.{ts,tsx,cts}'],
    rules: { 'project/unique-file-name': 'error' },
  },
  {
    // Work on untrusted input is linear in its size.
    files: ['{src,workers}/**'],
    plugins: { regexp },
    rules: {
      'regexp/no-super-linear-backtracking': ['error', { report: 'certain' }],
      'regexp/no-super-linear-move': ['error', { report: 'certain' }],
    },
  },
  {
    // What they search is the author's: templates, style sheets, and what MJML makes of them.
    files: ['workers/render/{analysis,languages,manifest,precompiled}/**'],
    rules: { 'regexp/no-super-linear-move': 'off' },
  },
  {
    files: ['src/**', 'workers/**'],
    ignores: ['src/cli/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'The library reads no environment variable: src/cli does.',
        },
        { object: 'process', property: 'exit', message: 'The library never ends the process: src/cli does.' },
        parseJsonInstead,
      ],
    },
  },
  {
    files: ['src/cli/**'],
    rules: { 'no-restricted-properties': ['error', parseJsonInstead] },
  },
  {
    // The bench reads its own, and in the browser the text is the reader's own.
    files: ['src/protocol/parseJson.ts', 'src/bench/**', 'src/dashboard/app/**', '**/assets/**'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: ['src/cli/**', '.ci/**', 'test/**'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['test/**/*.{ts,mts}'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['*.config.{js,ts}'],
    rules: { 'no-restricted-syntax': 'off' },
  },
)
