// A real OpenID Connect issuer (oidc-provider) for the gateway's tests. Makes new keys each time it starts, prints where
// it listens as one line of JSON, and ends with its standard input.
//
//   node issuer.mjs PORT        (0: any free port)
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

function key(type, options, alg) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg };
}

const server = createServer();
await new Promise((resolve) => server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const client = (client_id, alg) => ({
  client_id,
  client_secret: "not-a-secret",
  token_endpoint_auth_method: "client_secret_post",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  alg,
});

const provider = new Provider(issuer, {
  clients: [client("triage", "RS256"), client("triage-es", "ES256")],
  extraClientMetadata: { properties: ["alg"] },
  jwks: { keys: [key("rsa", { modulusLength: 2048 }, "RS256"), key("ec", { namedCurve: "P-256" }, "ES256")] },
  extraTokenClaims: async () => ({ groups: ["analysts"], clearance: "internal" }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource, asking) => ({
        scope: "",
        audience: resource,
        accessTokenTTL: 300,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: asking.alg } },
      }),
    },
  },
});
server.on("request", provider.callback());
process.stdout.write(`${JSON.stringify({ issuer })}\n`);
process.stdin.on("end", () => process.exit(0)).resume();
