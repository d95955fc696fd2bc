# Asterisk for docker-compose.yml: to try callcenter beside it, not a PBX for an office. Debian's stable releases carry
# no Asterisk, so it comes from unstable.
FROM debian:sid-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends asterisk asterisk-core-sounds-en-gsm \
 && rm -rf /var/lib/apt/lists/*
COPY http.conf extensions.conf /etc/asterisk/
# The password comes from the environment at the start, so that no image has one in it.
COPY --chmod=755 asterisk-entrypoint /usr/local/bin/
RUN chown -R asterisk:asterisk /etc/asterisk \
 && install -d -o asterisk -g asterisk /run/asterisk
USER asterisk
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/sbin/asterisk", "-rx", "core waitfullybooted"]
ENTRYPOINT ["/usr/local/bin/asterisk-entrypoint"]
