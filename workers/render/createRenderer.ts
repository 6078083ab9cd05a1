import type { JsonObject } from '../../src/wire.js'
import type { Renderer } from './renderer.js'

export function createRenderer(_setup: { templates?: { dir: string; globals: JsonObject } }): Renderer {
  throw new Error('not there yet')
}
