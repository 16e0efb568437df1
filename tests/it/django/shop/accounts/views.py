"""Sign-up and "who am I", as the tutorial has them."""

from rest_framework import generics, permissions, response, serializers, views

from .models import Account


class AccountSerializer(serializers.ModelSerializer):
    class Meta:
        model = Account
        fields = ["email", "username", "first_name", "password"]
        extra_kwargs = {"password": {"write_only": True}}

    def create(self, fields):
        return Account.objects.create_user(**fields)


class Create(generics.CreateAPIView):
    permission_classes = [permissions.AllowAny]
    serializer_class = AccountSerializer


class CurrentUser(views.APIView):
    def get(self, request):
        return response.Response(AccountSerializer(request.user).data)
