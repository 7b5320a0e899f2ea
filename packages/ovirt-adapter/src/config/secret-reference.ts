/** Secrets that stand elsewhere. @module */

/** Where a secret is. Whoever calls knows files, the environment and processes; this package reads none of them. */
export interface SecretReference {
  readonly kind: 'file' | 'env' | 'command'
  /** The path, the variable, or the command line. */
  readonly target: string
}

/** Gives the secret back, without a line end. */
export type ResolveSecret = (
  reference: SecretReference,
  options: { readonly signal?: AbortSignal | undefined },
) => Promise<string>

/** `file:PATH`, `env:NAME` or `command:COMMAND LINE`; anything else is the secret itself. */
export const parseSecretReference = (text: string): SecretReference | undefined => {
  const [, kind, target] = /^(file|env|command):(.+)$/s.exec(text) ?? []
  return kind === undefined || target === undefined ? undefined : { kind: kind as SecretReference['kind'], target }
}
