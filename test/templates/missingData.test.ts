import { expect, test } from 'vitest'
import { missingPaths } from '../../src/templates/missingData.js'
import type { JsonObject } from '../../src/protocol/tasks.js'
import { needsOf } from '../../workers/render/manifest/needs.js'
import { parseTemplate } from '../../workers/render/template/parseTemplate.js'
import { sourceOf } from '../workers/render/support/both.js'

function missing(source: string, data: JsonObject): string[] {
  const { trees } = parseTemplate(sourceOf({ source, partials: { p: '{{x}}{{title}}' } }))
  return missingPaths(needsOf(trees.mjml), data)
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
  ['{{#section}}{{x}}{{/section}}', {}, []],
  ['{{formatNumber n}}', {}, ['n']],
  ['{{lookup map key}}', { map: {} }, ['key']],
])('%s of %j lacks %j', (source, data, expected) => {
  expect(missing(source, data).sort()).toEqual([...expected].sort())
})
