import type { UrlCheck } from '../template/tree.js'

/** Facts about MJML's components. */

/** MJML's ending tags: components whose content MJML copies without looking for components in it. */
export const ENDING_TAGS = new Set([
  'mj-breakpoint',
  'mj-preview',
  'mj-style',
  'mj-title',
  'mj-button',
  'mj-raw',
  'mj-text',
  'mj-table',
  'mj-social-element',
  'mj-navbar-link',
  'mj-accordion-text',
  'mj-accordion-title',
  'mj-carousel-image',
])

/** All elements that MJML knows outside such content. */
export const KNOWN_COMPONENTS = new Set([
  ...ENDING_TAGS,
  'mjml',
  'mj-head',
  'mj-attributes',
  'mj-all',
  'mj-class',
  'mj-html-attributes',
  'mj-html-attribute',
  'mj-selector',
  'mj-font',
  'mj-body',
  'mj-hero',
  'mj-column',
  'mj-divider',
  'mj-group',
  'mj-image',
  'mj-section',
  'mj-spacer',
  'mj-wrapper',
  'mj-social',
  'mj-navbar',
  'mj-accordion',
  'mj-accordion-element',
  'mj-carousel',
])

/** Components that MJML renders differently if their content is empty. */
export const DEPENDS_ON_CONTENT = new Set(['mj-title', 'mj-preview', 'mj-social-element'])

/** Components whose content MJML trims with a visible effect, because their neighbors are on the same line. */
export const TRIMS_CONTENT = new Set(['mj-raw', 'mj-button', 'mj-navbar-link', 'mj-social-element'])

/**
 * Components that may contain a block between their children, as raw elements. Around columns this is correct only if
 * nothing is computed from their number, which the compiler verifies.
 */
export const ALLOWS_BLOCKS = new Set([
  'mj-body',
  'mj-wrapper',
  'mj-section',
  'mj-group',
  'mj-column',
  'mj-hero',
  'mj-social',
  'mj-navbar',
  'mj-accordion',
  'mj-accordion-element',
])

const TEXT =
  'align color font-size font-style font-weight line-height letter-spacing text-decoration text-transform css-class container-background-color'
const PADDING = 'padding padding-top padding-right padding-bottom padding-left'
const LINK = 'href name title rel target'
const BOX =
  'background-color background-url border-radius border-top border-bottom padding-top padding-bottom css-class'

/**
 * Attributes that MJML only copies into its output, so that they can be bound afterwards. MJML computes nothing from
 * them unless they are empty or one of the words that it tests for.
 */
const COPIED: Record<string, string> = {
  mjml: 'lang dir',
  'mj-body': 'background-color css-class id',
  'mj-section': `${BOX} text-align`,
  'mj-wrapper': `${BOX} text-align`,
  'mj-group': 'background-color vertical-align css-class',
  'mj-column': `background-color inner-background-color border-radius inner-border-radius border-top border-bottom vertical-align css-class padding-top padding-bottom`,
  'mj-hero': 'background-color background-url border-radius vertical-align css-class',
  'mj-text': `${TEXT} ${PADDING} height`,
  'mj-button': `${TEXT} ${PADDING} ${LINK} background-color border-radius border-top border-bottom height text-align vertical-align`,
  'mj-image': `${LINK} src alt srcset sizes usemap align border-radius container-background-color padding-top padding-bottom css-class`,
  'mj-table': `${TEXT} ${PADDING} cellpadding role`,
  'mj-divider':
    'border-color border-style border-width container-background-color padding-top padding-bottom css-class',
  'mj-spacer': `${PADDING} height container-background-color css-class`,
  'mj-social': `${TEXT} ${PADDING} border-radius`,
  'mj-social-element': `${TEXT} ${LINK} src alt background-color border-radius`,
  'mj-navbar': 'align css-class ico-color',
  'mj-navbar-link': `${TEXT} ${LINK} ${PADDING}`,
  'mj-accordion': 'css-class border container-background-color icon-wrapped-url icon-unwrapped-url',
  'mj-accordion-element': 'css-class background-color border',
  'mj-accordion-title': 'css-class color background-color font-size',
  'mj-accordion-text': 'css-class color background-color font-size line-height',
  'mj-carousel-image': 'src alt title href target rel border-radius',
  // Settings for many components: only attributes that all of them copy.
  'mj-all':
    'color background-color container-background-color font-size font-weight line-height letter-spacing',
  'mj-class':
    'color background-color container-background-color border-color font-size font-weight line-height letter-spacing href src',
}

const copied = new Map(Object.entries(COPIED).map(([tag, names]) => [tag, new Set(names.split(' '))]))

export function isCopied(component: string, attribute: string): boolean {
  return copied.get(component)?.has(attribute) ?? false
}

/** Attributes whose empty value MJML copies like any other value. */
const MAY_BE_EMPTY = new Set(['alt', 'title'])

export function mayBeEmpty(attribute: string): boolean {
  return MAY_BE_EMPTY.has(attribute)
}

export function isColorAttribute(attribute: string): boolean {
  return attribute === 'color' || attribute.endsWith('-color')
}

const URL_ATTRIBUTES = new Set([
  'href',
  'src',
  'action',
  'formaction',
  'background',
  'background-url',
  'base-url',
  'poster',
  'cite',
  'data',
  'codebase',
  'classid',
  'longdesc',
  'lowsrc',
  'dynsrc',
  'manifest',
  'xlink:href',
  'thumbnails-src',
  'icon-wrapped-url',
  'icon-unwrapped-url',
])

/** Attributes that hold several URLs, with commas or white space between them. */
const URL_LIST_ATTRIBUTES = new Set(['srcset', 'imagesrcset', 'ping', 'archive'])

/** Returns how the URLs of an attribute are checked, or undefined if it holds none. */
export function urlCheckOf(attribute: string): UrlCheck | undefined {
  const name = attribute.toLowerCase()
  if (URL_ATTRIBUTES.has(name)) return 'one'
  return URL_LIST_ATTRIBUTES.has(name) ? 'list' : undefined
}
