import { expect, test } from 'vitest'
import type { JsonObject } from '../../src/protocol/tasks.js'
import { dataProblems } from '../../src/templates/missingData.js'
import { collectNeeds } from '../../workers/render/manifest/needs.js'
import { parseTemplate } from '../../workers/render/template/parseTemplate.js'
import { sourceOf } from '../workers/render/support/both.js'

function missing(source: string, data: JsonObject): string[] {
  const { trees } = parseTemplate(sourceOf({ source, partials: { p: '{{x}}{{title}}' } }))
  return dataProblems(collectNeeds(trees.mjml), data, []).missing
}

test.each<[string, JsonObject, string[]]>([
  ['{{a}}{{b.c}}', {}, ['a', 'b.c']],
  ['{{a}}{{b}}{{c}}{{d}}', { a: '', b: 0, c: false, d: null }, []],
  ['{{#if a}}{{a}}{{b}}{{/if}}', {}, []],
  ['{{#if a}}{{a}}{{b}}{{/if}}', { a: 1 }, ['b']],
  ['{{#unless a}}{{b}}{{/unless}}', {}, ['b']],
  ['{{default a "x"}}{{#if (eq a 1)}}{{b}}{{/if}}', {}, []],
  [
    '{{#each list}}{{x}}{{../y}}{{@root.z}}{{@index}}{{/each}}',
    { list: [{ x: 1 }, {}] },
    ['y', 'z', 'list[1].x'],
  ],
  ['{{#each list}}{{x}}{{/each}}', {}, ['list']],
  ['{{#each list}}{{x}}{{else}}none{{/each}}', {}, []],
  ['{{#each list as |item i|}}{{item.x}}{{i}}{{/each}}', { list: [{}] }, ['list[0].x']],
  ['{{#each list}}{{this}}{{/each}}', { list: ['a'] }, []],
  ['{{#with user}}{{name}}{{../a}}{{/with}}', { user: { name: 'x' } }, ['a']],
  ['{{> p title="T"}}', {}, ['x']],
  ['{{#each list}}{{> p this title=../t}}{{/each}}', { list: [{}] }, ['list[0].x']],
  [
    '{{#each list as |item|}}{{#each item.kids}}{{this}}{{else}}{{item.x}}{{/each}}{{/each}}',
    { list: [{ kids: [] }, { kids: ['a'] }] },
    ['list[0].x'],
  ],
  [
    '{{#with a as |p|}}{{#with p.b}}{{c}}{{else if p.d}}{{p.e}}{{else}}{{p.f}}{{/with}}{{/with}}',
    { a: { d: 1 } },
    ['a.e'],
  ],
  [
    '{{#each list as |list|}}{{#each list.x}}{{this}}{{else}}{{list.y}}{{/each}}{{/each}}',
    { list: [{ y: 1 }] },
    [],
  ],
  // Handlebars counts a context for `../` only if it differs from the one around it.
  ['{{#with user}}{{#with ../user}}{{../a}}{{/with}}{{/with}}', { user: {}, a: 1 }, []],
  ['{{#with one}}{{#each this}}{{../title}}{{/each}}{{/with}}', { one: ['o'], title: 'T' }, []],
  ['{{#each list}}{{../x}}{{/each}}', { list: ['[object Object]'] }, []],
  // Parameters of a partial hide the data, also where the context is passed on.
  [
    '{{#*inline "q"}}{{x}}{{title}}{{/inline}}{{#*inline "r"}}{{> q this}}{{/inline}}{{> r this title="T"}}',
    {},
    [],
  ],
  ['{{#each list}}{{#if @first}}{{#with .}}a{{else}}{{x}}{{/with}}{{/if}}{{/each}}', { list: [null] }, []],
  ['{{#each .}}{{x}}{{/each}}', { k: {} }, ['k.x']],
  ['{{#section}}{{x}}{{/section}}', {}, []],
  ['{{formatNumber n}}', {}, ['n']],
  ['{{lookup map key}}', { map: {} }, ['key']],
])('template %s with data %j lacks %j', (source, data, expected) => {
  expect(missing(source, data).sort()).toEqual([...expected].sort())
})
