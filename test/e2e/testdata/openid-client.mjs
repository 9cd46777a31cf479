// An app that signs people in with npm's openid-client: by a pushed request (PAR) and an answer
// as a form. It prints its address, and answers with what it was told.
import http from 'node:http'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import * as client from '../../../build/node_modules/openid-client/build/index.js'

const { ISSUER, CLIENT_ID, CLIENT_SECRET } = process.env
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, {}, client.ClientSecretBasic(CLIENT_SECRET))
const server = http.createServer()
await once(server.listen(0, '127.0.0.1'), 'listening')
const base = `http://127.0.0.1:${server.address().port}`
let flow, idToken

const pages = {
  async '/signin'(request, response) {
    flow = { pkceCodeVerifier: client.randomPKCECodeVerifier(), expectedState: client.randomState(), expectedNonce: client.randomNonce(), maxAge: 600, idTokenExpected: true }
    const to = await client.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: `${base}/callback`, scope: 'openid email profile offline_access', response_mode: 'form_post', max_age: '600',
      code_challenge: await client.calculatePKCECodeChallenge(flow.pkceCodeVerifier), code_challenge_method: 'S256',
      state: flow.expectedState, nonce: flow.expectedNonce,
    })
    response.writeHead(303, { location: to.href }).end()
  },
  async '/callback'(request, response) {
    const sent = new Request(`${base}/callback`, { method: request.method, body: await text(request), headers: { 'content-type': request.headers['content-type'] } })
    const tokens = await client.authorizationCodeGrant(config, sent, flow)
    idToken = tokens.id_token
    const claims = tokens.claims()
    const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
    const fresh = await client.refreshTokenGrant(config, tokens.refresh_token)
    const shown = await client.tokenIntrospection(config, fresh.access_token)
    await client.tokenRevocation(config, fresh.refresh_token)
    const ended = await client.refreshTokenGrant(config, fresh.refresh_token).catch((error) => error.error)
    response.end(JSON.stringify({ claims, info, fresh: fresh.claims(), shown, ended }))
  },
  async '/signout'(request, response) {
    response.writeHead(303, { location: client.buildEndSessionUrl(config, { post_logout_redirect_uri: `${base}/`, id_token_hint: idToken }).href }).end()
  },
  async '/'(request, response) {
    response.end('Nobody is in.')
  },
}

server.on('request', (request, response) => {
  const page = pages[new URL(request.url, base).pathname] ?? (async () => response.writeHead(404).end())
  page(request, response).catch((error) => response.writeHead(500).end(String(error.cause ? `${error}: ${JSON.stringify(error.cause)}` : error)))
})
console.log(base)
