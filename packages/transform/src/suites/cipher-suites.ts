/** The rows of the suites that are a block cipher in counter mode with BLAKE3. Ids are never reused. @module */
import { ctrBlake3 } from './ctr-blake3.ts'
import type { Suite } from './suite.ts'

/** A cipher with one block size, the suite id of each of its key sizes (bits), and what it is for. */
interface Family {
  readonly cipher: string
  readonly blockBits: number
  readonly idByKeyBits: readonly (readonly [keyBits: number, id: number])[]
  readonly description: string
}

const families: readonly Family[] = [
  {
    cipher: 'aes',
    blockBits: 128,
    idByKeyBits: [
      [128, 10],
      [192, 11],
      [256, 12],
    ],
    description: 'AES (Rijndael) by the processor, with a 256-bit tag instead of GCM.',
  },
  {
    cipher: 'anubis',
    blockBits: 128,
    idByKeyBits: [
      [128, 13],
      [192, 14],
      [256, 15],
    ],
    description: 'Anubis, a NESSIE candidate by the authors of the hash Whirlpool.',
  },
  {
    cipher: 'aria',
    blockBits: 128,
    idByKeyBits: [
      [128, 16],
      [192, 17],
      [256, 18],
    ],
    description: 'ARIA, the Korean standard KS X 1213: where policy in Korea names it.',
  },
  {
    cipher: 'camellia',
    blockBits: 128,
    idByKeyBits: [
      [128, 19],
      [192, 20],
      [256, 21],
    ],
    description: 'Camellia, of ISO/IEC 18033-3, CRYPTREC (Japan) and NESSIE (Europe).',
  },
  {
    cipher: 'cast6',
    blockBits: 128,
    idByKeyBits: [
      [128, 22],
      [192, 23],
      [256, 24],
    ],
    description: 'CAST-256 of RFC 2612, an AES candidate from Canada.',
  },
  {
    cipher: 'kalyna',
    blockBits: 128,
    idByKeyBits: [
      [128, 25],
      [256, 26],
    ],
    description: 'Kalyna, the Ukrainian standard DSTU 7624:2014, with 128-bit blocks.',
  },
  {
    cipher: 'kalyna',
    blockBits: 256,
    idByKeyBits: [
      [256, 27],
      [512, 28],
    ],
    description: 'Kalyna, the Ukrainian standard DSTU 7624:2014, with 256-bit blocks.',
  },
  {
    cipher: 'kalyna',
    blockBits: 512,
    idByKeyBits: [[512, 29]],
    description: 'Kalyna, the Ukrainian standard DSTU 7624:2014, with 512-bit blocks.',
  },
  {
    cipher: 'kuznyechik',
    blockBits: 128,
    idByKeyBits: [[256, 30]],
    description: 'Kuznyechik of GOST R 34.12-2015, the Russian standard: twice as fast as kuznyechik-mgm.',
  },
  {
    cipher: 'mars',
    blockBits: 128,
    idByKeyBits: [
      [128, 31],
      [192, 32],
      [256, 33],
    ],
    description: 'MARS, an AES finalist from IBM.',
  },
  {
    cipher: 'serpent',
    blockBits: 128,
    idByKeyBits: [
      [128, 34],
      [192, 35],
      [256, 36],
    ],
    description: 'Serpent, the AES finalist with the widest margin; no tables, so constant-time.',
  },
  {
    cipher: 'simon',
    blockBits: 128,
    idByKeyBits: [
      [128, 37],
      [192, 38],
      [256, 39],
    ],
    description: 'Simon of ISO/IEC 29167-21: no tables, so constant-time.',
  },
  {
    cipher: 'sm4',
    blockBits: 128,
    idByKeyBits: [[128, 40]],
    description: 'SM4, the Chinese standard GB/T 32907-2016: where Chinese law or policy names it.',
  },
  {
    cipher: 'speck',
    blockBits: 128,
    idByKeyBits: [
      [128, 41],
      [192, 42],
      [256, 43],
    ],
    description: 'Speck of ISO/IEC 29167-22: fast without help of the processor; no tables, so constant-time.',
  },
  ...[256, 512, 1024].map((bits, i) => ({
    cipher: 'threefish',
    blockBits: bits,
    idByKeyBits: [[bits, 44 + i] as const],
    description: `Threefish of the Skein family, blocks and keys of ${bits} bits; no tables, so constant-time.`,
  })),
  {
    cipher: 'twofish',
    blockBits: 128,
    idByKeyBits: [
      [128, 47],
      [192, 48],
      [256, 49],
    ],
    description: 'Twofish, an AES finalist without patents, long in use.',
  },
]

export const cipherSuites: readonly Suite[] = families.flatMap(({ idByKeyBits, ...family }) =>
  idByKeyBits.map(([keyBits, id]) => ctrBlake3({ ...family, keyBits, id })),
)
