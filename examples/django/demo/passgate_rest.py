"""For Django REST framework, which asks its own classes who is calling."""

from rest_framework.authentication import BaseAuthentication


class PassgateAuthentication(BaseAuthentication):
    """Whom PassgateMiddleware found; never somebody with a session of Django's.

    SessionAuthentication would see the same user, and ask for a CSRF token. A bearer token is not sent by browsers of
    their own accord, so there is nothing for one to guard.
    """

    def authenticate(self, request):
        return (request._request.user, None) if request._request.passgate else None

    def authenticate_header(self, request):
        return 'Bearer realm="api"'
