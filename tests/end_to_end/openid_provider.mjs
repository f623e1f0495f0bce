// An OpenID provider (panva's, which is certified) that lets in whoever types a name: `node openid_provider.mjs PACKAGES RETURN`, where
// RETURN is where browsers go back to. It prints its issuer.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [packages, back] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${packages}/node_modules/oidc-provider/lib/index.js`).href);

const GROUPS = { ann: ["ct", "staff"], root: ["it"], visitor: ["staff"] };

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "tableside", client_secret: "a secret of the client", redirect_uris: [back] }],
    claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups"] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `${id} of the hospital`, preferred_username: id, groups: GROUPS[id] }),
    }),
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
