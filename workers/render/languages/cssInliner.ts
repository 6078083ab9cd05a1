import { whileLoading } from '../../heartbeat.js'
import type { Mjml } from '../mjml.js'

let loaded: Promise<Mjml> | undefined

/**
 * Loads juice. It copies the rules of each `<style>` into the `style`
 * attributes of the elements that they match. Media queries, fonts, key frames, and pseudo-classes such as `:hover` stay in
 * the head. It fetches nothing.
 */
export function loadCssInliner(): Promise<Mjml> {
  loaded ??= whileLoading(() => import('../cssPackages.js')).then(({ juice }) => {
    const options = {
      removeStyleTags: true,
      preserveMediaQueries: true,
      preserveFontFaces: true,
      preserveKeyFrames: true,
      preservePseudos: true,
      inlinePseudoElements: false,
    }
    return async (source) => ({ html: juice(source, options), warnings: [] })
  })
  return loaded
}
