import { createRequire, SourceMap, type SourceMapping, type SourceMapPayload } from 'node:module'
import path from 'node:path'
import { compileFunction, constants } from 'node:vm'
import { parseJson } from '../../../src/protocol/parseJson.js'
import type { JsonObject } from '../../../src/protocol/tasks.js'
import { whileLoading } from '../../heartbeat.js'
import { TemplateFailure } from '../template/sourceFile.js'

/** A text, or a function of the props that returns one. */
type TextExport = string | ((props: JsonObject) => unknown)

/** The exports of a template's module. */
export interface ComponentModule {
  default: { PreviewProps?: JsonObject }
  subject?: TextExport
  preheader?: TextExport
  plainText?: TextExport
  PreviewProps?: JsonObject
}

/** The application's own React. */
export interface React {
  createElement: (component: unknown, props: JsonObject) => unknown
}

type Render = (element: unknown) => Promise<string>

/** A bundled template that has been evaluated, with the packages that render it. */
export interface Program {
  module: ComponentModule
  react: React
  render: Render
  /** Returns the failure for an error of the template's code, with the place in its source. */
  failure: (error: unknown) => TemplateFailure
}

const SOURCE_MAP = /\/\/# sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/

/**
 * Evaluates a bundled template. Its packages, React among them, are those of the application. React is loaded in its production
 * form; the environment of the thread is otherwise unchanged.
 * @param name the template's file, as shown in messages
 * @param folder from which packages are loaded
 * @throws TemplateFailure
 */
export function evaluate(code: string, name: string, folder: string): Promise<Program> {
  return whileLoading(async () => evaluateNow(code, name, folder))
}

function evaluateNow(code: string, name: string, folder: string): Program {
  const file = path.resolve(folder, name)
  const bundled = `${file}.bundle.cjs`
  const map = sourceMapOf(code)
  const failure = (error: unknown): TemplateFailure => toFailure(error, name, bundled, map)
  const require = createRequire(file)
  const { react, renderer } = inProduction(() => ({
    react: load(require, 'react', name) as React,
    renderer: load(require, '@react-email/render', name) as { render: Render },
  }))
  // The renderer loads it on first use, outside of this.
  inProduction(() => load(require, 'react-dom/server', name))
  const module = { exports: {} as ComponentModule }
  try {
    const run = compileFunction(code, ['module', 'exports', 'require', '__filename', '__dirname'], {
      filename: bundled,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    }) as (...args: unknown[]) => void
    inProduction(() => run(module, module.exports, require, file, path.dirname(file)))
  } catch (error) {
    throw failure(error)
  }
  if (typeof module.exports.default !== 'function' && typeof module.exports.default !== 'object')
    throw new TemplateFailure('TEMPLATE_ERROR', `${name}: it has no default export, which is the component`)
  return { module: module.exports, react, render: renderer.render, failure }
}

function load(require: NodeJS.Require, name: string, template: string): unknown {
  try {
    return require(name)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason =
      code === 'MODULE_NOT_FOUND'
        ? `needs the package ${name}: npm install react react-dom @react-email/render`
        : `can't load ${name}: ${message}`
    throw new TemplateFailure('TEMPLATE_ERROR', `${template} ${reason}`, { location: { file: template } })
  }
}

/** React decides by NODE_ENV, when it is loaded, whether it checks everything for developers, which is several times slower. */
function inProduction<T>(work: () => T): T {
  // eslint-disable-next-line no-restricted-properties -- not read as a setting: it is React's only switch
  const { env } = process
  const before = env['NODE_ENV']
  env['NODE_ENV'] = 'production'
  try {
    return work()
  } finally {
    if (before === undefined) delete env['NODE_ENV']
    else env['NODE_ENV'] = before
  }
}

function sourceMapOf(code: string): SourceMap | undefined {
  const encoded = SOURCE_MAP.exec(code.slice(code.lastIndexOf('\n//# ') + 1))?.[1]
  if (encoded === undefined) return undefined
  return new SourceMap(parseJson(Buffer.from(encoded, 'base64').toString()) as SourceMapPayload)
}

/** @param line from 0, as the column */
function originOf(map: SourceMap | undefined, line: number, column: number): SourceMapping | undefined {
  const entry = map?.findEntry(line, column)
  return entry !== undefined && 'originalSource' in entry ? entry : undefined
}

function toFailure(
  error: unknown,
  name: string,
  bundled: string,
  map: SourceMap | undefined,
): TemplateFailure {
  if (error instanceof TemplateFailure) return error
  const [message = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1)
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const at = stack.indexOf(bundled)
  const [, line, column] = /^:(\d+):(\d+)/.exec(at < 0 ? '' : stack.slice(at + bundled.length)) ?? []
  const origin = line === undefined ? undefined : originOf(map, Number(line) - 1, Number(column) - 1)
  if (origin === undefined)
    return new TemplateFailure('TEMPLATE_ERROR', `${name}: ${message}`, { location: { file: name } })
  // Sources are relative to the template folder, as the bundle is.
  const file = origin.originalSource
  const place = { file, line: origin.originalLine + 1, column: origin.originalColumn + 1 }
  return new TemplateFailure('TEMPLATE_ERROR', `${file}:${place.line}:${place.column}: ${message}`, {
    location: place,
  })
}
