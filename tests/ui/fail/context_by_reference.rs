//! A method with `&self` borrows the context that it is to take.

#[derive(Clone)]
struct Client;

impl Client {
    async fn get(&self, id: u64) -> Result<u64, String> {
        Ok(id)
    }
}

fn main() {
    let _ = decor::with_context(Client, Client::get);
}
