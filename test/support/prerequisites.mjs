// Finds the programs that some tests talk to, and where apt is there fetches what is missing into a folder of its own:
// nothing is installed, no service starts, and root is not needed.
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')
const cache = path.join(root, 'node_modules/.cache/threadpost')
const isRoot = process.getuid?.() === 0
/** In each fetched folder: a list of its directories that hold shared libraries. */
const LIBRARIES = 'libraries.json'

/**
 * @typedef {{ command: string, args: string[], env: Record<string, string> }} Tool
 * `args` come before one's own; `env` comes on top of process.env.
 * @typedef {'redis-server' | 'smtp-sink' | 'smtp-source' | 'postfix-master' | 'chromium' | 'python3-dkim'
 *   | 'rabbitmq-server' | 'swaks' | 'msmtp' | 'exim-daemon' | 'python3-flask'
 *   | 'postgres' | 'python3-psycopg' | 'pgbouncer'} ToolName
 */

/** The programs of one apt package and of those that it depends on. `probe` makes each program prove that it can be started. */
const bundles = [
  {
    package: 'redis-server',
    also: [],
    tools: { 'redis-server': 'usr/bin/redis-server' },
    probe: { 'redis-server': [['--version'], /Redis server v=/] },
  },
  {
    package: 'postfix',
    also: [],
    tools: {
      'smtp-sink': 'usr/sbin/smtp-sink',
      'smtp-source': 'usr/sbin/smtp-source',
      // The server itself; its other daemons lie beside it.
      'postfix-master': 'usr/lib/postfix/sbin/master',
    },
    probe: { 'smtp-sink': [[], /usage: \S*smtp-sink/], 'smtp-source': [[], /usage: \S*smtp-source/] },
  },
  {
    package: 'chromium',
    also: ['fonts-dejavu-core'],
    tools: { chromium: 'usr/lib/chromium/chromium' },
    probe: { chromium: [['--version'], /Chromium \d/] },
  },
  {
    // Python with dkimpy.
    package: 'python3-dkim',
    also: ['python3-nacl'],
    tools: { 'python3-dkim': 'usr/bin/python3' },
    probe: { 'python3-dkim': [['-c', 'import dkim, nacl; print("dkimpy")'], /dkimpy/] },
  },
  {
    // initdb and psql lie beside the server.
    package: 'postgresql-15',
    also: [],
    tools: { postgres: 'usr/lib/postgresql/15/bin/postgres' },
    probe: { postgres: [['--version'], /postgres \(PostgreSQL\) \d/] },
  },
  {
    package: 'pgbouncer',
    also: [],
    tools: { pgbouncer: 'usr/sbin/pgbouncer' },
    probe: { pgbouncer: [['--version'], /PgBouncer \d/] },
  },
  {
    // Python with psycopg.
    package: 'python3-psycopg',
    also: [],
    tools: { 'python3-psycopg': 'usr/bin/python3' },
    probe: { 'python3-psycopg': [['-c', 'import psycopg; print("psycopg")'], /psycopg/] },
  },
  {
    // Python with Flask and Flask-Mail.
    package: 'python3-flask',
    also: ['python3-flask-mail'],
    tools: { 'python3-flask': 'usr/bin/python3' },
    probe: { 'python3-flask': [['-c', 'import flask, flask_mail; print("Flask-Mail")'], /Flask-Mail/] },
  },
  {
    // With Erlang; test/support/rabbitmq.ts starts both. Without Erlang on the path, the script gets as far as calling it.
    package: 'rabbitmq-server',
    also: [],
    tools: { 'rabbitmq-server': 'usr/lib/rabbitmq/bin/rabbitmq-server' },
    probe: { 'rabbitmq-server': [[], /\berl\b/] },
  },
  {
    package: 'swaks',
    also: [],
    tools: { swaks: 'usr/bin/swaks' },
    probe: { swaks: [['--version'], /swaks version/] },
  },
  {
    package: 'msmtp',
    also: [],
    tools: { msmtp: 'usr/bin/msmtp' },
    probe: { msmtp: [['--version'], /msmtp version/] },
  },
  {
    // Only ever fetched: Debian's packages of Exim and Postfix exclude each other. test/support/exim.ts gives it the user that it
    // asks for, and the DNS.
    package: 'exim4-daemon-light',
    also: ['libnss-wrapper', 'libresolv-wrapper'],
    tools: { 'exim-daemon': 'usr/sbin/exim4' },
    probe: { 'exim-daemon': [['-bV'], /Exim version|Debian-exim/] },
  },
]

/** Other names and places of an installed program. */
const aliases = {
  chromium: ['chromium', 'chromium-browser', 'google-chrome'],
  'postfix-master': ['../lib/postfix/sbin/master'],
  'rabbitmq-server': ['../lib/rabbitmq/bin/rabbitmq-server'],
}
const places = [
  ...(process.env.PATH ?? '').split(path.delimiter),
  ...['/usr/sbin', '/usr/local/sbin', '/usr/bin'],
  // Debian keeps the programs of each version of Postgres in a folder of their own.
  ...versions('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`),
]

function versions(folder) {
  return existsSync(folder) ? readdirSync(folder).toSorted((a, b) => Number(b) - Number(a)) : []
}

const chromiumArgs = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage'],
  ...['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
]
const extraArgs = {
  chromium: chromiumArgs,
  // They refuse to run as root unless told which user to become.
  'smtp-sink': isRoot ? ['-u', 'root'] : [],
}

function onPath(name) {
  for (const alias of aliases[name] ?? [name]) {
    const place = places.find((folder) => path.isAbsolute(folder) && existsSync(path.join(folder, alias)))
    if (place) return path.join(place, alias)
  }
}

/** @returns {Record<string, string>} */
function environment(folder) {
  const libraries = JSON.parse(readFileSync(path.join(folder, LIBRARIES), 'utf8'))
  const fonts = path.join(folder, 'fonts.conf')
  return {
    LD_LIBRARY_PATH: libraries.map((library) => path.join(folder, library)).join(':'),
    ...(existsSync(fonts) && { FONTCONFIG_FILE: fonts }),
  }
}

function find(name, bundle) {
  const installed = onPath(name)
  if (installed) return { command: installed, args: extraArgs[name] ?? [], env: {} }
  return fetched(name, bundle, path.join(cache, bundle.package))
}

function fetched(name, bundle, folder) {
  if (!existsSync(path.join(folder, LIBRARIES))) return undefined
  const command = path.join(folder, bundle.tools[name])
  const tool = { command, args: extraArgs[name] ?? [], env: environment(folder) }
  return name.startsWith('python3-') ? withPython(tool, folder) : tool
}

/** Debian's Python modules work with Debian's Python: the installed one, or the one that was fetched with them. */
function withPython(tool, folder) {
  const modules = [path.join(folder, 'usr'), '/usr'].map((base) =>
    path.join(base, 'lib/python3/dist-packages'),
  )
  const env = { ...tool.env, PYTHONPATH: modules.join(':') }
  if (existsSync(tool.command)) return { ...tool, env: { ...env, PYTHONHOME: path.join(folder, 'usr') } }
  return { ...tool, command: '/usr/bin/python3', env }
}

/**
 * Returns the programs that are there now. Quick, fetches nothing.
 * @returns {Partial<Record<ToolName, Tool>>}
 */
export function findTools() {
  const found = {}
  for (const bundle of bundles) {
    for (const name of Object.keys(bundle.tools)) {
      const tool = find(name, bundle)
      if (tool) found[name] = tool
    }
  }
  return found
}

/**
 * How a person gets the program.
 * @param {ToolName} name
 */
export function installLine(name) {
  const bundle = bundles.find(({ tools }) => name in tools)
  return `apt-get install ${bundle?.package ?? name}`
}

/** Runs apt-get with the machine's package lists, or with those of a folder of our own. */
async function apt(lists, command, args, cwd) {
  const own = lists && [
    ...['-o', `Dir::State::Lists=${path.join(lists, 'lists')}`],
    ...['-o', `Dir::Cache=${path.join(lists, 'cache')}`],
  ]
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
  const options = [
    ...(own || []),
    ...['-o', 'APT::Sandbox::User=root', '-o', 'Debug::NoLocking=1', '-o', 'APT::Update::Error-Mode=any'],
    ...['-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20', '-o', 'Acquire::https::Timeout=20'],
  ]
  const { stdout } = await run('apt-get', [...options, command, ...args], {
    cwd,
    env,
    timeout: 300_000,
    maxBuffer: 1 << 26,
  })
  return stdout
}

async function download(bundle, into, lists) {
  const wanted = [bundle.package, ...bundle.also]
  const plan = await apt(lists, 'install', ['--simulate', '--no-install-recommends', ...wanted], into)
  const names = [...plan.matchAll(/^Inst (\S+)(?: \[\S+\])? \((\S+)/gm)].map(
    ([, name, version]) => `${name}=${version}`,
  )
  if (names.length === 0) throw new Error(`apt has nothing to fetch for ${bundle.package}`)
  await apt(lists, 'download', names, into)
}

async function fetchBundle(bundle) {
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(path.join(cache, `${bundle.package}-`))
  const lists = path.join(work, 'apt')
  const folder = path.join(work, 'files')
  const debs = path.join(work, 'debs')
  try {
    await Promise.all([
      mkdir(folder),
      mkdir(debs),
      mkdir(path.join(lists, 'lists/partial'), { recursive: true }),
    ])
    await mkdir(path.join(lists, 'cache/archives/partial'), { recursive: true })
    try {
      await download(bundle, debs)
    } catch {
      // The machine's package lists are empty or out of date.
      await apt(lists, 'update', ['-qq'], debs)
      await download(bundle, debs, lists)
    }
    for (const deb of await readdir(debs)) {
      if (deb.endsWith('.deb')) await run('dpkg', ['-x', path.join(debs, deb), folder])
    }
    await writeFile(path.join(folder, LIBRARIES), JSON.stringify(await libraryFolders(folder)))
    if (bundle.package === 'chromium') await writeFonts(folder, path.join(cache, bundle.package))
    await probe(bundle, folder)
    const place = path.join(cache, bundle.package)
    // The rest of a folder that was deleted while a program used it.
    if (!existsSync(path.join(place, LIBRARIES))) await rm(place, { recursive: true, force: true })
    await rename(folder, place).catch((error) => {
      // Another run was quicker: its folder is as good.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function libraryFolders(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const folders = entries
    .filter((entry) => /^lib.*\.so(\.|$)/.test(entry.name) && !entry.isDirectory())
    .map((entry) => path.relative(folder, entry.parentPath))
  return [...new Set(folders)].filter((name) => /^(usr\/)?lib\b/.test(name))
}

/** Without a configuration that names a font folder, Chromium draws no text at all. `home` is the folder's last place. */
async function writeFonts(folder, home) {
  // The cache of the fonts is beside the folder, because the probe writes to it before the folder is in its place.
  const fonts = ['/usr/share/fonts', path.join(home, 'usr/share/fonts')].map((dir) => `<dir>${dir}</dir>`)
  // Only the system's configuration maps generic names to fonts; without it, any font may stand in, be it one with serifs.
  const code = ['ui-monospace', 'monospace'].map(
    (name) =>
      `<match><test name="family"><string>${name}</string></test>` +
      '<edit name="family" mode="assign" binding="strong"><string>DejaVu Sans Mono</string></edit></match>',
  )
  const others = '<match><edit name="family" mode="append_last"><string>DejaVu Sans</string></edit></match>'
  const text = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>${fonts.join('')}<cachedir>${home}.fonts</cachedir>${code.join('')}${others}</fontconfig>
`
  await writeFile(path.join(folder, 'fonts.conf'), text)
}

async function probe(bundle, folder) {
  for (const [name, [args, expected]] of Object.entries(bundle.probe)) {
    const tool = fetched(name, bundle, folder)
    const env = { ...process.env, ...tool.env }
    // smtp-sink prints its usage and exits with 1.
    const output = await run(tool.command, args, { env, timeout: 60_000 }).catch((error) => error)
    if (!expected.test(`${output.stdout}${output.stderr}`)) {
      throw new Error(`${name} was fetched and doesn't start: ${output.stderr || output.message}`)
    }
  }
}

async function provide() {
  const problems = []
  for (const bundle of bundles) {
    const missing = Object.keys(bundle.tools).filter((name) => !find(name, bundle))
    if (missing.length === 0) continue
    try {
      if (os.platform() !== 'linux' || !onPath('apt-get') || !onPath('dpkg'))
        throw new Error('there is no apt')
      await fetchBundle(bundle)
    } catch (error) {
      const reason = String(error.stderr || error.message)
        .trim()
        .split('\n')
        .slice(-2)
        .join(' ')
      problems.push(
        `${missing.join(' and ')}: not found and not fetched (${reason}). To install: ${installLine(missing[0])}`,
      )
    }
  }
  return { tools: findTools(), problems }
}

let provided

/**
 * Returns the programs that are there after fetching those that are missing, and a line for each that could not be had.
 * @returns {Promise<{ tools: Partial<Record<ToolName, Tool>>, problems: string[] }>}
 */
export function tools() {
  provided ??= provide()
  return provided
}
