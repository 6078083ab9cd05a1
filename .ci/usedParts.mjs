// A plugin of esbuild: keeps out of the bundles what the packages that compile templates never use, and evaluates late what
// they seldom use. Evaluating all of it would take each thread three times as long.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'

/** What MJML and juice need only for options that are never set: to minify, to beautify, and to fetch style sheets. */
const UNUSED = /^(htmlnano|cssnano|cssnano-preset-lite|js-beautify|web-resource-inliner)$/

/** A module of MJML. */
const MJML = /[\\/]mjml-[^\\/]+[\\/]lib[\\/].*\.js$/

/** The functions of lodash that MJML calls, by their names. */
const LODASH = [
  ...['each', 'escapeRegExp', 'filter', 'find', 'findLastIndex', 'flatMap', 'forEach', 'get', 'identity'],
  ...['isArray', 'isEmpty', 'isFunction', 'isNil', 'isObject', 'kebabCase', 'map', 'mapValues', 'min'],
  ...['negate', 'omit', 'omitBy', 'range', 'reduce', 'repeat', 'some'],
]

const FUNCTIONAL = ['filter', 'flow', 'identity', 'join', 'map']
/** The functions that MJML's modules may call, by the variables in which they keep lodash and lodash/fp. */
const CALLED = { _lodash: LODASH, _fp: FUNCTIONAL }

/** Packages with other contents. MJML needs cheerio for mj-html-attributes and juice for inline styles only. */
const REPLACED = {
  lodash: `module.exports = { ${LODASH.map((name) => `get ${name}() { return require('lodash/${name}') }`).join(', ')} }`,
  'lodash/fp': `
    const [filter, map, join] = [require('lodash/filter'), require('lodash/map'), require('lodash/join')]
    exports.flow = require('lodash/flow')
    exports.identity = require('lodash/identity')
    exports.filter = (test) => (values) => filter(values, (value) => test(value))
    exports.map = (change) => (values) => map(values, (value) => change(value))
    exports.join = (separator) => (values) => join(values, separator)`,
  cheerio: "let loaded; exports.load = (...args) => (loaded ??= require('cheerio')).load(...args)",
  juice: "let loaded; module.exports = (...args) => (loaded ??= require('juice'))(...args)",
}

/**
 * A statement of MJML's parser that takes quadratic time: for each part of a text, it trims the whole text before it again. Of two
 * trimmed texts, the concatenation is trimmed.
 */
const QUADRATIC = "cur.content = `${cur && cur.content || ''}${text.trim()}`.trim();"
const LINEAR = "cur.content = (cur.content || '') + text.trim();"

/** The module of htmlparser2 that keeps the open elements, the innermost first, in arrays that it shifts for each of them. */
const PARSER = /[\\/]htmlparser2[\\/](lib|dist)[\\/](\w+[\\/])?Parser\.js$/
/** The same with the innermost last, and a name that isn't open is found to be missing without a search. */
const OPEN_ELEMENTS = `
class OpenElements {
  innermostLast = []
  counts = new Map()
  constructor(...all) { for (const one of all) this.unshift(one) }
  get length() { return this.innermostLast.length }
  set length(none) { this.innermostLast.length = none; this.counts.clear() }
  at(index) { return this.innermostLast.at(-1 - index) }
  unshift(one) { this.innermostLast.push(one); this.counts.set(one, (this.counts.get(one) ?? 0) + 1) }
  shift() { const one = this.innermostLast.pop(); this.counts.set(one, this.counts.get(one) - 1); return one }
  indexOf(one) { return this.counts.get(one) > 0 ? this.length - 1 - this.innermostLast.lastIndexOf(one) : -1 }
}`
const LISTS_OF_ELEMENTS = [
  ['this.stack = []', 'this.stack = new OpenElements()', 1],
  ['this.foreignContext = [!this.htmlMode]', 'this.foreignContext = new OpenElements(!this.htmlMode)', 1],
  ['this.stack[0]', 'this.stack.at(0)', 2],
  ['this.stack[index]', 'this.stack.at(index)', 1],
  ['this.foreignContext[0]', 'this.foreignContext.at(0)', 1],
]

export const usedParts = {
  name: 'used parts',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: UNUSED }, ({ path: name }) => ({ path: name, namespace: 'unused' }))
    onLoad({ filter: /^/, namespace: 'unused' }, () => ({ contents: '' }))

    onResolve({ filter: /^(lodash|lodash\/fp|cheerio|juice)$/ }, ({ path: name, importer, resolveDir }) => {
      if (MJML.test(importer)) return { path: name, namespace: 'replaced', pluginData: resolveDir }
      if (name !== 'cheerio') return undefined
      // Without the part that fetches pages.
      const manifest = createRequire(path.join(resolveDir, 'index.js')).resolve('cheerio/package.json')
      return { path: path.join(path.dirname(manifest), 'dist/esm/load-parse.js') }
    })
    onLoad({ filter: /^/, namespace: 'replaced' }, ({ path: name, pluginData: resolveDir }) => ({
      contents: REPLACED[name],
      resolveDir,
    }))

    onLoad({ filter: PARSER }, async ({ path: file }) => {
      let source = await readFile(file, 'utf8')
      const errors = []
      for (const [array, list, times] of LISTS_OF_ELEMENTS) {
        if (source.split(array).length !== times + 1)
          errors.push({ text: `${file} has another use of ${array}` })
        source = source.replaceAll(array, list)
      }
      if (/(stack|foreignContext)(\[|\s*=\s*\[)/.test(source))
        errors.push({ text: `${file} has another array` })
      return { contents: source + OPEN_ELEMENTS, errors }
    })

    // A function that is missing would be a failure in a component that no test may use.
    onLoad({ filter: MJML }, async ({ path: file }) => {
      const source = await readFile(file, 'utf8')
      const missing = Object.entries(CALLED).flatMap(([variable, known]) =>
        [...source.matchAll(new RegExp(`\\b${variable}\\.(\\w+)`, 'g'))].filter(
          ([, name]) => !known.includes(name),
        ),
      )
      const errors = missing.map(([call]) => ({
        text: `${call} is missing in usedParts.mjs; ${file} calls it`,
      }))
      if (!file.includes('mjml-parser-xml')) return { errors }
      const isParser = path.basename(file) === 'index.js'
      if (isParser && !source.includes(QUADRATIC)) errors.push({ text: `${file} has another text handler` })
      return { contents: source.replace(QUADRATIC, LINEAR), errors }
    })
  },
}
