import { crc32, deflateSync, inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const RGB = 2
const PALETTE = 3

interface Picture {
  width: number
  height: number
  /** Three bytes per pixel. */
  pixels: Buffer
}

/**
 * A screenshot at half its width and height, with a palette: a tenth of its bytes. A picture that the package carries has
 * to be small.
 *
 * @param png an RGB picture of 8 bits per channel that is not interlaced, as Chromium writes it
 */
export function smallPng(png: Buffer, colors = 24): Buffer {
  return encode(halve(decode(png)), colors)
}

function decode(png: Buffer): Picture {
  const data: Buffer[] = []
  let header: Buffer = Buffer.alloc(0)
  for (let at = SIGNATURE.length; at < png.length;) {
    const length = png.readUInt32BE(at)
    const type = png.toString('latin1', at + 4, at + 8)
    const body = png.subarray(at + 8, at + 8 + length)
    if (type === 'IHDR') header = body
    if (type === 'IDAT') data.push(body)
    at += length + 12
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)]
  const [bits, kind, , , interlace] = header.subarray(8)
  if (bits !== 8 || kind !== RGB || interlace !== 0)
    throw new Error('Not an RGB picture of 8 bits per channel')
  return { width, height, pixels: unfilter(inflateSync(Buffer.concat(data)), width * 3, height) }
}

/** Undoes the filters of the lines (PNG specification, section 9.2). */
function unfilter(lines: Buffer, stride: number, height: number): Buffer {
  const out = Buffer.alloc(stride * height)
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (stride + 1)] ?? 0
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x
      const left = x < 3 ? 0 : (out[at - 3] ?? 0)
      const up = y === 0 ? 0 : (out[at - stride] ?? 0)
      const corner = x < 3 || y === 0 ? 0 : (out[at - stride - 3] ?? 0)
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0
      out[at] = (lines[y * (stride + 1) + 1 + x] ?? 0) + predicted
    }
  }
  return out
}

function paeth(left: number, up: number, corner: number): number {
  const [byLeft, byUp, byCorner] = [up - corner, left - corner, left + up - 2 * corner].map(Math.abs) as [
    number,
    number,
    number,
  ]
  if (byLeft <= byUp && byLeft <= byCorner) return left
  return byUp <= byCorner ? up : corner
}

/** Each pixel is the mean of four. */
function halve({ width, height, pixels }: Picture): Picture {
  const half = { width: width >> 1, height: height >> 1 }
  const out = Buffer.alloc(half.width * half.height * 3)
  for (let y = 0; y < half.height; y++)
    for (let x = 0; x < half.width; x++)
      for (let channel = 0; channel < 3; channel++) {
        const at = (2 * y * width + 2 * x) * 3 + channel
        const sum = [at, at + 3, at + width * 3, at + width * 3 + 3].reduce(
          (all, i) => all + (pixels[i] ?? 0),
          0,
        )
        out[(y * half.width + x) * 3 + channel] = (sum + 2) >> 2
      }
  return { ...half, pixels: out }
}

function encode({ width, height, pixels }: Picture, colors: number): Buffer {
  const palette = paletteOf(pixels, colors)
  const nearest = new Map<number, number>()
  const lines = Buffer.alloc((width + 1) * height)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const color = pixels.readUIntBE((y * width + x) * 3, 3)
      let index = nearest.get(color)
      if (index === undefined) nearest.set(color, (index = nearestOf(color, palette)))
      lines[y * (width + 1) + 1 + x] = index
    }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, PALETTE], 8)
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from(palette.flatMap(channelsOf))),
    chunk('IDAT', deflateSync(lines, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** The most frequent colors, no two of which look alike: a page has few, and the shades between them. */
function paletteOf(pixels: Buffer, colors: number): number[] {
  const counts = new Map<number, number>()
  for (let at = 0; at < pixels.length; at += 3) {
    const color = pixels.readUIntBE(at, 3)
    counts.set(color, (counts.get(color) ?? 0) + 1)
  }
  const byCount = [...counts].sort(([, a], [, b]) => b - a).map(([color]) => color)
  const palette: number[] = []
  for (let apart = 8; palette.length < colors && apart >= 1; apart /= 2)
    for (const color of byCount)
      if (palette.length < colors && palette.every((other) => distance(color, other) >= apart))
        palette.push(color)
  return palette
}

function nearestOf(color: number, palette: readonly number[]): number {
  let best = 0
  for (const [index, other] of palette.entries())
    if (distance(color, other) < distance(color, palette[best] ?? 0)) best = index
  return best
}

function distance(one: number, other: number): number {
  const others = channelsOf(other)
  return Math.max(...channelsOf(one).map((channel, index) => Math.abs(channel - (others[index] ?? 0))))
}

function channelsOf(color: number): [number, number, number] {
  return [color >> 16, (color >> 8) & 255, color & 255]
}

function chunk(type: string, body: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), body])
  const out = Buffer.alloc(typed.length + 8)
  out.writeUInt32BE(body.length, 0)
  out.set(typed, 4)
  out.writeUInt32BE(crc32(typed), typed.length + 4)
  return out
}
