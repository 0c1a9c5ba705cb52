// An OpenID Connect provider for one test, on 127.0.0.1. Arguments: the folder with node_modules; the client's id; its
// secret. Prints its issuer, then reads the client's redirect address from its standard input, answers 'ready', and ends
// when that ends. Anybody can sign in by name, with any password; groups follow from the name: 'ada.operators' is of 'operators'.
import http from "node:http";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, clientId, clientSecret] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`));

const server = http.createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(issuer);

const lines = readline.createInterface({ input: process.stdin });
lines.on("close", () => process.exit(0));
lines.once("line", (redirect) => {
  const provider = new Provider(issuer, {
    clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirect] }],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
    pkce: { required: () => true },
    cookies: { keys: ["of a test"] },
    async findAccount(context, name) {
      const [, group] = name.split(".");
      return {
        accountId: name,
        async claims() {
          return { sub: name, preferred_username: name, groups: group ? [group] : [] };
        },
      };
    },
  });
  server.on("request", provider.callback());
  console.log("ready");
});
