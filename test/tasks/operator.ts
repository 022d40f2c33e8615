/** A NATS server that knows its users by what an operator signed, and the text of a `.creds` file of one of them. */
import { type nkeys as Keys, nkeys } from 'nats'

type Key = ReturnType<typeof Keys.createUser>

export function operator(): { lines: string[]; creds: string } {
  const [own, user] = [nkeys.createOperator(), nkeys.createUser()]
  // JetStream speaks through an account of the system.
  const [account, system] = [nkeys.createAccount(), nkeys.createAccount()]
  const most = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 }
  const store = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
  const operatorJwt = token(own, own, { type: 'operator' })
  const preload = [
    `${account.getPublicKey()}: ${token(own, account, { type: 'account', limits: { ...most, ...store } })}`,
    `${system.getPublicKey()}: ${token(own, system, { type: 'account', limits: most })}`,
  ]
  const userJwt = token(account, user, { type: 'user', subs: -1, data: -1, payload: -1, pub: {}, sub: {} })
  const seed = new TextDecoder().decode(user.getSeed())
  const part = (what: string, text: string) => `-----BEGIN ${what}-----\n${text}\n------END ${what}------\n`
  return {
    lines: [
      ...[`operator: ${operatorJwt}`, 'resolver: MEMORY', `system_account: ${system.getPublicKey()}`],
      `resolver_preload: { ${preload.join(', ')} }`,
    ],
    creds: `${part('NATS USER JWT', userJwt)}\n${part('USER NKEY SEED', seed)}`,
  }
}

function token(issuer: Key, subject: Key, nats: object): string {
  const claims = {
    ...{ jti: subject.getPublicKey(), iat: 1_700_000_000, iss: issuer.getPublicKey(), name: 'test' },
    ...{ sub: subject.getPublicKey(), nats: { version: 2, ...nats } },
  }
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(claims)}`
  return `${body}.${Buffer.from(issuer.sign(Buffer.from(body))).toString('base64url')}`
}
