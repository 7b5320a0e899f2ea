/** Linux swap. @see Linux include/linux/swap.h, union swap_header @module */
import type { Detector } from '../detect.ts'
import { Fields } from '../format/fields.ts'
import { nameOfBytes } from '../format/names.ts'
import { uuidText } from '../format/uuid.ts'

const PAGE_SIZES = [4096, 8192, 16_384, 32_768, 65_536]
const HEADER = 1024

/** Text in a fixed field that ends at its first NUL. */
export const paddedText = (fields: Fields, offset: number, length: number): string => {
  const bytes = fields.slice(offset, length)
  const end = bytes.indexOf(0)
  return nameOfBytes(end < 0 ? bytes : bytes.subarray(0, end)).text
}

export const swap: Detector = {
  name: 'swap',
  async detect({ peek }) {
    for (const pageBytes of PAGE_SIZES) {
      const bytes = await peek(0, pageBytes)
      if (bytes === undefined) return undefined
      const page = new Fields(bytes, 'swap header')
      const signature = page.ascii(pageBytes - 10, 10)
      const isHibernated = /^(S1SUSPEND|S2SUSPEND|ULSUSPEND|LINHIB0001)/.test(signature)
      if (signature !== 'SWAPSPACE2' && signature !== 'SWAP-SPACE' && !isHibernated) continue
      const label = paddedText(page, HEADER + 28, 16)
      return {
        kind: 'named',
        content: 'swap',
        uuid: uuidText(page.slice(HEADER + 12, 16)),
        ...(label === '' ? {} : { label }),
        whyNot: { reason: 'swap', message: isHibernated ? 'swap space that holds a hibernated system' : 'swap space' },
      }
    }
    return undefined
  },
}
